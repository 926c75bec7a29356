// Beside the conversation: who writes, its state, and why the bot said what it said.

import { h, hue, icon, iconButton, initials, replace } from "../js/lib/dom.js";
import { safeUrl } from "../js/lib/format.js";
import { languageNow, t } from "../js/lib/i18n.js";
import { intentName } from "../js/lib/intents.js";
import { exactTime, timeElement } from "../js/lib/time.js";
import { MoodChart, languageName, moodMark, moodPoints } from "./insights.js";
import { errorBox, stateBadge } from "./list.js";
import { contactName } from "./store.js";

const LABELS_MAX = 20;

export class Aside {
  /** `actions`: change(id, patch), loadWhy(messageId), close(). */
  constructor(root, store, translating, actions) {
    this.root = root;
    this.store = store;
    this.translating = translating;
    this.actions = actions;
    this.why = null;
    this.mood = new MoodChart();
    translating.addEventListener("reading", () => { if (!this.why) this.render(); });
    store.addEventListener("timeline", (event) => { if (event.detail === store.openId) this.moodDraw(); });
    store.addEventListener("open", () => { this.why = null; this.render(); });
    store.addEventListener("conversation", (event) => { if (event.detail === store.openId && !this.why && !this.root.contains(document.activeElement)) this.render(); });
  }

  render() {
    const item = this.store.conversation();
    if (!item) {
      replace(this.root);
      return;
    }
    if (this.why) this.renderWhy();
    else replace(this.root, this.head(t("details")), h("div", { class: "aside__body" }, this.contact(item), this.conversation(item), this.mood.element, this.translating.section(item), this.labels(item)));
    this.moodDraw();
  }

  /** Of the messages that are loaded. Where nothing changed, what is focused stays. */
  moodDraw() {
    const points = moodPoints(this.store.timeline().sorted());
    const state = JSON.stringify([this.store.openId, points]);
    if (state === this.moodState) return;
    this.moodState = state;
    this.mood.draw(points);
  }

  head(title, onBack) {
    return h("div", { class: "aside__head" }, onBack ? iconButton("arrow-left", t("back"), { onClick: onBack }) : null, h("h2", { class: "grow" }, title), iconButton("x", t("close"), { class: "btn btn--ghost btn--icon aside__close", onClick: this.actions.close }));
  }

  contact(item) {
    const name = contactName(item, t);
    const attributes = Object.entries(item.contact?.attributes || {}).slice(0, 20);
    return h("section", { class: "aside__section aside__contact" },
      h("span", { class: "avatar avatar--lg", "aria-hidden": "true", dataset: { hue: hue(item.contact?.id) } }, initials(name)),
      h("div", { class: "strong" }, name),
      item.contact?.name && !item.contact.name_verified ? saidMark() : null,
      item.contact?.email ? h("a", { class: "small", href: `mailto:${item.contact.email}` }, item.contact.email) : h("span", { class: "faint small" }, t("no_email")),
      item.contact?.email && !item.contact.email_verified ? saidMark() : null,
      item.contact?.verified ? h("span", { class: "badge badge--success" }, icon("check"), t("verified")) : null,
      attributes.length ? h("dl", { class: "facts small aside__facts" }, attributes.map(([key, value]) => [h("dt", null, key), h("dd", null, String(value))])) : null);
  }

  conversation(item) {
    const options = [h("option", { value: "" }, t("nobody")), ...this.store.members.map((member) => h("option", { value: member.id, selected: item.assignee?.id === member.id }, member.id === this.store.me.id ? `${member.name} (${t("me")})` : member.name))];
    if (item.assignee && !this.store.members.some((member) => member.id === item.assignee.id)) options.push(h("option", { value: item.assignee.id, selected: true }, item.assignee.name));
    const select = h("select", { id: "aside-assignee", onChange: () => this.actions.change(item.id, { assignee_id: select.value || null }) }, options);
    return h("section", { class: "aside__section" },
      h("h3", { class: "panel-title" }, t("conversation")),
      h("dl", { class: "facts small" },
        h("dt", null, t("state")), h("dd", null, stateBadge(item)),
        h("dt", null, t("started")), h("dd", null, h("span", { title: exactTime(item.created_at) }, timeElement(item.created_at))),
        item.waiting_since ? [h("dt", null, t("waiting_since")), h("dd", null, timeElement(item.waiting_since))] : null,
        item.mood ? [h("dt", null, t("mood")), h("dd", null, moodMark(item.mood, { named: true }))] : null,
        item.language ? [h("dt", null, t("language")), h("dd", null, languageName(item.language))] : null,
        h("dt", null, t("message_count")), h("dd", null, new Intl.NumberFormat(languageNow()).format(item.last_seq || 0))),
      h("div", { class: "field" }, h("label", { for: "aside-assignee" }, t("assignee")), select));
  }

  labels(item) {
    const input = h("input", { class: "input", type: "text", maxlength: "40", "aria-label": t("add_label"), placeholder: t("add_label"), disabled: item.labels.length >= LABELS_MAX });
    const form = h("form", { onSubmit: (event) => {
      event.preventDefault();
      const label = input.value.trim();
      if (label && !item.labels.includes(label)) this.actions.change(item.id, { labels: [...item.labels, label] }, () => this.root.querySelector("#aside-labels input")?.focus());
    } }, input);
    const suggested = (item.suggested_labels || []).filter((label) => !item.labels.includes(label));
    return h("section", { class: "aside__section", id: "aside-labels" },
      h("h3", { class: "panel-title" }, t("labels")),
      item.labels.length ? h("ul", { class: "row row--wrap" }, item.labels.map((label) => h("li", null, h("span", { class: "badge badge--outline" }, intentName(label), h("button", { class: "badge__remove", type: "button", "aria-label": t("remove_label", { label: intentName(label) }), onClick: () => this.actions.change(item.id, { labels: item.labels.filter((other) => other !== label) }) }, icon("x")))))) : null,
      suggested.length && item.labels.length < LABELS_MAX ? h("div", { class: "row row--wrap", role: "group", "aria-label": t("suggested_labels") }, suggested.map((label) => h("button", { class: "btn btn--sm", type: "button", title: t("add_this_label", { label: intentName(label) }), onClick: () => this.suggestionTake(item, label) }, icon("plus", "icon--sm"), intentName(label)))) : null,
      form);
  }

  suggestionTake(item, label) {
    this.actions.change(item.id, { labels: [...item.labels, label] }, () => this.root.querySelector("#aside-labels input")?.focus());
    this.render();
  }

  async showWhy(message) {
    this.why = { message, state: "loading" };
    this.render();
    try {
      this.why = { message, state: "ready", data: await this.actions.loadWhy(message.id) };
    } catch (error) {
      this.why = { message, state: "error", error };
    }
    this.render();
    this.root.querySelector("h2")?.focus?.();
  }

  closeWhy() {
    this.why = null;
    this.render();
  }

  renderWhy() {
    const { state, data, error, message } = this.why;
    const body = state === "loading" ? whySkeleton() : state === "error" ? errorBox(error, () => this.showWhy(message)) : whyBody(data);
    replace(this.root, this.head(t("why_title"), () => this.closeWhy()), h("div", { class: "aside__body", "aria-busy": String(state === "loading") }, body));
  }
}

function whyBody(data) {
  const passages = data.passages || [];
  const checks = data.checks || [];
  return [
    h("section", { class: "aside__section" }, h("h3", { class: "panel-title" }, t("decision")), h("p", { class: "strong" }, t(`decision_${data.decision}`)), data.reason ? h("p", { class: "muted small" }, known(`reason_${data.reason}`, data.reason)) : null, typeof data.confidence === "number" ? h("p", { class: "faint small" }, t("confidence", { value: percent(data.confidence) })) : null, data.query ? h("p", { class: "faint small" }, t("searched_for", { query: data.query })) : null),
    h("section", { class: "aside__section" }, h("h3", { class: "panel-title" }, t("why_passages")), passages.length ? h("ol", { class: "why__list" }, passages.map(passageCard)) : h("p", { class: "muted small" }, t(data.kept === false ? "why_not_kept" : "why_no_passages"))),
    checks.length ? h("section", { class: "aside__section" }, h("h3", { class: "panel-title" }, t("why_checks")), checks.some((check) => !check.supported) ? h("p", { class: "faint small" }, t("why_left_out")) : null, h("ul", { class: "why__list" }, checks.map(checkRow))) : null,
    h("section", { class: "aside__section" }, h("h3", { class: "panel-title" }, t("why_run")), h("dl", { class: "facts small" }, h("dt", null, t("model")), h("dd", null, data.model || "–"), Object.entries(data.timings_ms || {}).map(([key, value]) => [h("dt", null, known(`timing_${key}`, key.replaceAll("_", " "))), h("dd", null, milliseconds(value))]))),
  ];
}

/** The text of a key that the server may have added later than our catalogue. */
function known(key, fallback) {
  const text = t(key);
  return text === key ? fallback : text;
}

function percent(value) {
  return new Intl.NumberFormat(languageNow(), { style: "percent" }).format(value);
}

function milliseconds(value) {
  return typeof value === "number" ? `${new Intl.NumberFormat(languageNow(), { maximumFractionDigits: 0 }).format(value)} ms` : String(value);
}

function passageCard(passage, index) {
  const url = passage.url ? safeUrl(passage.url, { relative: true }) : null;
  const title = [passage.document, passage.heading].filter(Boolean).join(" › ");
  const meter = h("span", { class: "meter", role: "img", "aria-label": t("score_value", { value: score(passage.score) }) }, h("span"));
  meter.style.setProperty("--value", String(Math.max(0, Math.min(1, Number(passage.score) || 0))));
  return h("li", { class: "why__item" },
    h("div", { class: "row" }, h("span", { class: "cite" }, String(index + 1)), url ? h("a", { class: "grow strong small", href: url.href, target: "_blank", rel: "noopener" }, title) : h("span", { class: "grow strong small" }, title), h("span", { class: "faint small" }, score(passage.score))),
    meter,
    h("details", { class: "why__text small" }, h("summary", null, t("why_show_text")), h("p", { class: "muted" }, passage.text || "")));
}

function score(value) {
  return typeof value === "number" ? new Intl.NumberFormat(languageNow(), { minimumFractionDigits: 2, maximumFractionDigits: 2 }).format(value) : "–";
}

function checkRow(check) {
  return h("li", { class: `why__item why__check ${check.supported ? "" : "why__check--bad"}` },
    icon(check.supported ? "check-circle" : "alert", "icon--sm"),
    h("div", { class: "grow" }, h("p", { class: "small" }, check.sentence), h("p", { class: "faint small" }, check.supported ? t("supported") : t("unsupported"), typeof check.score === "number" ? ` · ${score(check.score)}` : "")));
}

function whySkeleton() {
  return h("div", { class: "stack", "aria-hidden": "true" }, h("span", { class: "skeleton skeleton--half" }), h("span", { class: "skeleton skeleton--block" }), h("span", { class: "skeleton skeleton--block" }), h("span", { class: "skeleton skeleton--long" }));
}

/** Under a name or an address that nobody has proven. */
function saidMark() {
  return h("span", { class: "badge badge--warning" }, icon("alert", "icon--sm"), t("said_by_visitor"));
}
