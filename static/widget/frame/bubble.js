// One message as DOM: the visitor's own, the bot's, a person's, or a line from the system.

import { h, icon, initials, replace } from "../../js/lib/dom.js";
import { citationTitle, formatText, safeUrl } from "../../js/lib/format.js";
import { t } from "../../js/lib/i18n.js";
import { clockTime, exactTime } from "../../js/lib/time.js";

/** The message of `id` in the log; `onRate(value, comment)` is given for the bot's messages. */
export function messageElement(message, { botName, onRate } = {}) {
  if (message.role === "system") return h("li", { class: "line", dataset: { id: message.id } }, h("span", null, message.text));
  const mine = message.role === "contact";
  const item = h("li", { class: `msg msg--${mine ? "mine" : message.role}`, dataset: { id: message.id, author: authorKey(message) } });
  if (!mine) item.append(authorLine(message, botName));
  const bubble = h("div", { class: "bubble", dir: "auto", title: exactTime(message.created_at) });
  bubble.append(formatText(message.text, { citations: message.citations || [] }));
  if (mine) item.append(h("span", { class: "sr-only" }, `${t("you")}: `));
  item.append(bubble);
  if (message.citations?.length) item.append(sourceList(message.citations));
  if (message.role === "bot" && onRate && message.decision !== "handoff") item.append(ratingRow(onRate));
  return item;
}

export function authorKey(message) {
  return message.role === "agent" ? `agent:${message.author?.id || ""}` : message.role;
}

function authorLine(message, botName) {
  const bot = message.role === "bot";
  const name = bot ? botName : message.author?.name || t("agent");
  const mark = h("span", { class: `avatar avatar--sm ${bot ? "avatar--bot" : "avatar--person"}`, "aria-hidden": "true" }, bot ? icon("bot") : initials(name));
  return h("div", { class: "author" }, mark, h("span", { class: "author__name" }, name), h("span", { class: "author__kind" }, bot ? t("kind_bot") : t("kind_person")), message.created_at ? h("span", { class: "author__time" }, clockTime(message.created_at)) : null);
}

/** What the visitor wrote and the server has not acknowledged yet. */
export function pendingElement(entry, { onRetry }) {
  const item = h("li", { class: "msg msg--mine msg--pending", dataset: { client: entry.client_id } });
  const bubble = h("div", { class: "bubble", dir: "auto" }, formatText(entry.text));
  const state = h("div", { class: "delivery" });
  item.append(h("span", { class: "sr-only" }, `${t("you")}: `), bubble, state);
  pendingMark(item, entry, { onRetry });
  return item;
}

export function pendingMark(item, entry, { onRetry, reason = "" }) {
  item.classList.toggle("msg--failed", Boolean(entry.failed));
  const state = item.querySelector(".delivery");
  if (!entry.failed) {
    replace(state, icon("clock", "icon--sm"), t("sending"));
    return;
  }
  replace(state, icon("alert", "icon--sm"), reason || t("not_sent"), h("button", { type: "button", class: "textlink", onClick: onRetry }, t("try_again")));
}

/** The bot's reply while it arrives. Readers hear it once, when it is complete. */
export function streamElement(replyId, botName) {
  return h("li", { class: "msg msg--bot msg--stream", "aria-busy": "true", dataset: { reply: replyId, author: "bot" } }, authorLine({ role: "bot" }, botName), h("div", { class: "bubble", dir: "auto" }, dots()));
}

export function streamUpdate(item, text) {
  const bubble = item.querySelector(".bubble");
  if (!text) return;
  replace(bubble, formatText(text));
  const last = bubble.lastElementChild;
  (last?.matches("ul, ol") ? last.lastElementChild : last)?.append(h("span", { class: "caret", "aria-hidden": "true" }));
}

export function dots() {
  return h("span", { class: "dots", role: "img", "aria-label": t("writing") }, h("i"), h("i"), h("i"));
}

function sourceList(citations) {
  const items = citations.map((citation, index) => {
    const url = citation.url ? safeUrl(citation.url, { relative: true }) : null;
    const name = citation.document || citation.source || t("source");
    const label = [h("span", { class: "cite", "aria-hidden": "true" }, String(index + 1)), h("span", { class: "truncate" }, name)];
    const title = citationTitle(citation);
    const content = url
      ? h("a", { class: "source", href: url.href, target: "_blank", rel: "noopener", title, "data-citation": String(index + 1) }, label)
      : h("span", { class: "source", title }, label);
    return h("li", null, content);
  });
  return h("div", { class: "sources" }, h("span", { class: "sources__title" }, t("sources")), h("ol", { class: "sources__list" }, items));
}

function ratingRow(onRate) {
  const row = h("div", { class: "rating", role: "group", "aria-label": t("rate_label") });
  const choose = (value) => {
    onRate(value, "");
    up.setAttribute("aria-pressed", String(value === 1));
    down.setAttribute("aria-pressed", String(value === -1));
    row.querySelector(".rating__more")?.remove();
    row.append(value === -1 ? commentForm((comment) => onRate(-1, comment)) : h("span", { class: "rating__more", role: "status" }, t("thanks")));
  };
  const button = (name, label, value) => h("button", { type: "button", class: "thumb", "aria-label": label, title: label, "aria-pressed": "false", onClick: () => choose(value) }, icon(name));
  const up = button("thumb-up", t("helpful"), 1);
  const down = button("thumb-down", t("not_helpful"), -1);
  row.append(up, down);
  return row;
}

function commentForm(onComment) {
  const input = h("input", { class: "input", type: "text", maxlength: "500", "aria-label": t("what_missing"), placeholder: t("what_missing") });
  const form = h("form", { class: "rating__more rating__form" }, input, h("button", { class: "btn btn--sm", type: "submit" }, t("send_short")));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (input.value.trim()) onComment(input.value.trim());
    form.replaceWith(h("span", { class: "rating__more", role: "status" }, t("thanks")));
  });
  return form;
}

