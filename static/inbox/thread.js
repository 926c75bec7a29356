// The messages of the open conversation: history, live messages, streamed replies, what is being sent.

import { h, hue, icon, initials, replace } from "../js/lib/dom.js";
import { formatText, citationTitle, safeUrl } from "../js/lib/format.js";
import { t } from "../js/lib/i18n.js";
import { intentName } from "../js/lib/intents.js";
import { clockTime, dayName, exactTime } from "../js/lib/time.js";
import { explanation } from "./explaining.js";
import { languageMark, languageName, moodMark } from "./insights.js";
import { errorBox } from "./list.js";
import { contactName } from "./store.js";

const NEAR_END_PX = 120;

export class ThreadPane {
  /** `actions`: why(message), earlier(), retry(), resend(pending), discard(pending). */
  constructor(root, store, translating, actions) {
    this.translating = translating;
    this.root = root;
    this.store = store;
    this.actions = actions;
    this.rows = new Map();
    this.shownId = "";
    this.log = h("ol", { class: "thread__log", role: "log", "aria-live": "polite", "aria-relevant": "additions", "aria-label": t("messages") });
    this.top = h("div", { class: "thread__top" });
    this.live = h("ol", { class: "thread__log thread__log--live" });
    this.typing = h("div", { class: "thread__typing", role: "status" });
    replace(root, h("div", { class: "thread__column" }, this.top, this.log, this.live, this.typing));
    // The composer grows over the thread: who was reading the end goes on reading the end.
    let height = 0;
    new ResizeObserver(() => {
      const grew = height - root.clientHeight;
      height = root.clientHeight;
      if (grew > 0 && this.nearEnd(grew)) root.scrollTop = root.scrollHeight;
    }).observe(root);
    store.addEventListener("timeline", (event) => { if (event.detail === store.openId) this.schedule(); });
    store.addEventListener("open", () => this.schedule());
  }

  schedule() {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      this.render();
    });
  }

  render() {
    const { store } = this;
    if (!store.openId) return;
    const timeline = store.timeline();
    const changed = this.shownId !== store.openId;
    const stay = changed || this.nearEnd();
    if (changed) {
      this.shownId = store.openId;
      this.rows.clear();
      replace(this.log);
      replace(this.typing);
    }
    this.root.closest(".inbox").classList.toggle("inbox--broken", Boolean(timeline.error));
    if (!timeline.loaded) {
      replace(this.top, timeline.error ? errorBox(timeline.error, this.actions.retry) : threadSkeleton());
      replace(this.live);
      return;
    }
    replace(this.top, timeline.isComplete() ? null : h("button", { class: "btn btn--sm", type: "button", onClick: this.actions.earlier }, icon("arrow-up", "icon--sm"), t("earlier")));
    this.renderMessages(timeline.sorted());
    replace(this.live, [...timeline.streams].map(([id, stream]) => streamRow(id, stream.text)), timeline.pending.map((entry) => this.pendingRow(entry)));
    if (stay) this.root.scrollTop = this.root.scrollHeight;
  }

  /** Adds what is new in place, so that screen readers and selections are left alone. */
  renderMessages(messages) {
    let previous = null;
    let anchor = null;
    for (const message of messages) {
      let row = this.rows.get(message.id);
      if (!row) {
        row = this.messageRow(message);
        this.rows.set(message.id, row);
        if (anchor) anchor.after(row);
        else this.log.prepend(row);
      }
      this.foundRender(row, message);
      const newDay = !previous || new Date(previous.created_at).toDateString() !== new Date(message.created_at).toDateString();
      row.dataset.day = newDay ? dayName(message.created_at) : "";
      row.classList.toggle("entry--same", Boolean(previous) && !newDay && sameAuthor(previous, message));
      previous = message;
      anchor = row;
    }
  }

  /** What was found out later, and the text in the language that is read, go into the row that is there. */
  foundRender(row, message) {
    const line = row.querySelector("[data-found]");
    if (!line) return;
    const shown = this.translating.shown(message);
    const state = JSON.stringify([shown, message.sentiment, message.intent, message.language]);
    if (line.dataset.found === state) return;
    line.dataset.found = state;
    const bubble = row.querySelector(".bubble");
    if ((bubble.dataset.shown || message.text) !== shown.text) {
      bubble.dataset.shown = shown.text;
      replace(bubble, formatText(shown.text, { citations: shown.text === message.text ? message.citations || [] : [] }));
    }
    const contact = message.role === "contact";
    const why = contact && message.sentiment ? explanation(message) : null;
    row.querySelector(".words")?.remove();
    if (why) line.after(why.place);
    replace(line, contact ? moodMark(message.sentiment, { named: true }) : null, why?.button, contact ? languageMark(message.language) : null, contact && message.intent ? h("span", { class: "badge badge--outline" }, intentName(message.intent)) : null, this.shownNote(message, shown));
  }

  shownNote(message, shown) {
    if (shown.state === "plain") return null;
    const name = shown.from ? languageName(shown.from) : t("another_language");
    if (shown.state === "failed") return h("span", null, icon("alert", "icon--sm"), " ", shown.code === "language_pair_unknown" ? t("translation_unknown", { language: name }) : t("translation_failed"));
    const [text, button] = {
      translated: [t("translated_from", { language: name }), t("show_original")],
      written: [t("written_in", { language: name }), t("show_translation")],
      original: [t("sent_in", { language: name }), t("show_sent")],
      sent: [t("sent_in", { language: name }), t("show_original")],
    }[shown.state];
    return h("span", null, icon("translate", "icon--sm"), " ", text, " · ", h("button", { class: "textlink", type: "button", dataset: { toggle: message.id }, onClick: () => this.original(message) }, button));
  }

  original(message) {
    this.translating.toggle(message);
    requestAnimationFrame(() => requestAnimationFrame(() => this.log.querySelector(`[data-toggle="${CSS.escape(message.id)}"]`)?.focus()));
  }

  messageRow(message) {
    if (message.role === "system" && message.private) return summaryRow(message);
    if (message.role === "system") return h("li", { class: "entry entry--system", dataset: { id: message.id } }, h("span", null, message.text, " · ", h("time", { title: exactTime(message.created_at) }, clockTime(message.created_at))));
    const who = author(message, this.store.conversation());
    const body = h("div", { class: "bubble", dir: "auto" }, formatText(message.text, { citations: message.citations || [] }));
    return h("li", { class: `entry entry--${message.private ? "note" : message.role}`, dataset: { id: message.id } },
      who.avatar,
      h("div", { class: "entry__main" },
        h("div", { class: "entry__head" }, h("span", { class: "entry__name" }, who.name), message.private ? h("span", { class: "badge badge--warning" }, icon("note"), t("note")) : null, message.role === "bot" ? decisionBadge(message.decision) : null, h("time", { class: "entry__time", datetime: message.created_at, title: exactTime(message.created_at) }, clockTime(message.created_at)), message.reply_id ? h("button", { class: "entry__why", type: "button", onClick: () => this.actions.why(message) }, icon("help", "icon--sm"), t("why")) : null),
        body,
        h("div", { class: "entry__found", "aria-live": "off", dataset: { found: "" } }),
        message.citations?.length ? sources(message.citations) : null));
  }

  pendingRow(entry) {
    const body = h("div", { class: "bubble", dir: "auto" }, formatText(entry.text));
    const state = entry.error
      ? h("div", { class: "entry__failed" }, icon("alert", "icon--sm"), t("not_sent"), h("button", { class: "textlink", type: "button", onClick: () => this.actions.resend(entry) }, t("try_again")), h("button", { class: "textlink", type: "button", onClick: () => this.actions.discard(entry) }, t("discard")))
      : h("div", { class: "entry__time" }, t("sending"));
    return h("li", { class: `entry entry--${entry.private ? "note" : "agent"} entry--pending` }, h("span", { class: "avatar avatar--person", "aria-hidden": "true" }, initials(this.store.me.name)), h("div", { class: "entry__main" }, h("div", { class: "entry__head" }, h("span", { class: "entry__name" }, this.store.me.name)), body, state));
  }

  showTyping(name) {
    clearTimeout(this.typingTimer);
    replace(this.typing, t("typing", { name }));
    this.typingTimer = setTimeout(() => replace(this.typing), 4000);
  }

  nearEnd(allowance = 0) {
    return this.root.scrollHeight - this.root.scrollTop - this.root.clientHeight < NEAR_END_PX + allowance;
  }

  /** Keeps the reading position when older messages are put above it. */
  keepPosition(change) {
    const fromEnd = this.root.scrollHeight - this.root.scrollTop;
    change();
    this.render();
    this.root.scrollTop = this.root.scrollHeight - fromEnd;
  }
}

function author(message, conversation) {
  if (message.role === "bot") return { name: t("role_bot"), avatar: h("span", { class: "avatar avatar--bot", "aria-hidden": "true" }, icon("bot")) };
  if (message.role === "agent") {
    const name = message.author?.name || t("role_agent");
    return { name, avatar: h("span", { class: "avatar avatar--person", "aria-hidden": "true" }, initials(name)) };
  }
  const name = conversation ? contactName(conversation, t) : t("role_contact");
  return { name, avatar: h("span", { class: "avatar", "aria-hidden": "true", dataset: { hue: hue(conversation?.contact?.id) } }, initials(name)) };
}

function sameAuthor(a, b) {
  return a.role === b.role && a.role !== "system" && a.role !== "bot" && Boolean(a.private) === Boolean(b.private) && a.author?.id === b.author?.id && new Date(b.created_at) - new Date(a.created_at) < 300_000;
}

function decisionBadge(decision) {
  if (decision === "answer") return h("span", { class: "badge badge--success" }, icon("check"), t("decision_answer"));
  if (decision === "abstain") return h("span", { class: "badge" }, icon("minus"), t("decision_abstain"));
  if (decision === "handoff") return h("span", { class: "badge badge--warning" }, icon("user"), t("decision_handoff"));
  return null;
}

/** What the suite notes for the team: its first line is the title. */
function summaryRow(message) {
  const [title, ...lines] = message.text.split("\n");
  return h("li", { class: "entry entry--note", dataset: { id: message.id } }, h("span", { class: "avatar avatar--bot", "aria-hidden": "true" }, icon("lines")), h("div", { class: "entry__main" }, h("div", { class: "entry__head" }, h("span", { class: "entry__name" }, title), h("span", { class: "badge badge--warning" }, icon("note"), t("note")), h("time", { class: "entry__time", datetime: message.created_at, title: exactTime(message.created_at) }, clockTime(message.created_at))), h("div", { class: "bubble", dir: "auto" }, formatText(lines.join("\n")))));
}

function streamRow(replyId, text) {
  const body = h("div", { class: "bubble", dir: "auto" }, text ? formatText(text) : h("span", { class: "dots", role: "img", "aria-label": t("bot_writing") }, h("i"), h("i"), h("i")));
  if (text) (body.lastElementChild?.matches("ul, ol") ? body.lastElementChild.lastElementChild : body.lastElementChild)?.append(h("span", { class: "caret", "aria-hidden": "true" }));
  return h("li", { class: "entry entry--bot", "aria-busy": "true", dataset: { reply: replyId } }, h("span", { class: "avatar avatar--bot", "aria-hidden": "true" }, icon("bot")), h("div", { class: "entry__main" }, h("div", { class: "entry__head" }, h("span", { class: "entry__name" }, t("role_bot")), h("span", { class: "faint small" }, t("bot_writing"))), body));
}

function sources(citations) {
  return h("ol", { class: "sources__list entry__sources" }, citations.map((citation, index) => {
    const url = citation.url ? safeUrl(citation.url, { relative: true }) : null;
    const label = [h("span", { class: "cite", "aria-hidden": "true" }, String(index + 1)), h("span", { class: "truncate" }, citation.document || citation.source || "")];
    return h("li", null, url ? h("a", { class: "source", href: url.href, target: "_blank", rel: "noopener", title: citationTitle(citation), "data-citation": String(index + 1) }, label) : h("span", { class: "source", title: citationTitle(citation) }, label));
  }));
}

function threadSkeleton() {
  const row = (size) => h("div", { class: "entry", "aria-hidden": "true" }, h("span", { class: "skeleton skeleton--circle" }), h("div", { class: "entry__main stack stack--sm" }, h("span", { class: "skeleton skeleton--short" }), h("span", { class: `skeleton ${size}` }), h("span", { class: "skeleton skeleton--half" })));
  return h("div", { class: "thread__skeleton", role: "status", "aria-label": t("loading") }, row("skeleton--long"), row("skeleton--half"), row("skeleton--long"));
}
