// Reading and writing across languages: the visitor's messages in the agent's language, replies in the visitor's.

import { apiCall } from "../js/lib/api.js";
import { h, replace } from "../js/lib/dom.js";
import { t } from "../js/lib/i18n.js";
import { languageName, sameLanguage } from "./insights.js";

const KEPT = "nlpsuite.inbox.reading";
const AFTER_MS = 400;
const PAGE = 50;

/** The language that the agent reads ("" for as it was written), and what is there in it. Event: "reading". */
export class Translating extends EventTarget {
  constructor(store) {
    super();
    this.store = store;
    this.languages = [];
    this.reading = "";
    this.found = new Map();
    this.asWritten = new Set();
    store.addEventListener("timeline", (event) => { if (event.detail === store.openId) this.schedule(); });
    store.addEventListener("open", () => this.schedule());
  }

  async start() {
    try {
      this.languages = (await apiCall("GET", "/analysis/translation/languages")).items;
    } catch {
      return; // without the list nothing is offered
    }
    const kept = localStorage.getItem(KEPT) || "";
    if (this.languages.some((language) => language.code === kept)) this.reading = kept;
    this.tell();
  }

  readIn(code) {
    this.reading = code;
    localStorage.setItem(KEPT, code);
    this.found.clear();
    this.asWritten.clear();
    this.tell();
  }

  tell() {
    this.dispatchEvent(new CustomEvent("reading"));
    this.store.emit("timeline", this.store.openId);
  }

  toggle(message) {
    if (!this.asWritten.delete(message.id)) this.asWritten.add(message.id);
    this.store.emit("timeline", message.conversation_id);
  }

  /** What is shown of a message: {text, state}. States: "plain", "translated", "original", "sent", "failed". */
  shown(message) {
    const chosen = this.asWritten.has(message.id);
    // Our own words first; what the visitor got is one click away.
    if (message.original) return chosen ? { text: message.text, state: "sent", from: message.language } : { text: message.original.text, state: "original", from: message.language };
    if (!this.wants(message)) return { text: message.text, state: "plain" };
    const found = this.found.get(message.id);
    if (found?.error) return { text: message.text, state: "failed", code: found.error.code, from: message.language };
    const text = message.translations?.[this.reading] ?? found?.text;
    if (text === undefined) return { text: message.text, state: "plain" };
    return chosen ? { text: message.text, state: "written", from: message.language } : { text, state: "translated", from: message.language || found?.source };
  }

  wants(message) {
    return Boolean(this.reading) && message.role !== "system" && !message.original && !sameLanguage(message.language, this.reading);
  }

  /** Asks for what is missing, a moment after the last message: annotations may still be on their way. */
  schedule() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.load(), AFTER_MS);
  }

  async load() {
    const { store, reading } = this;
    const id = store.openId;
    if (!id || !reading || this.loading || !store.timeline(id).loaded) return;
    const missing = store.timeline(id).sorted().filter((message) => this.wants(message) && !message.translations?.[reading] && !this.found.has(message.id));
    if (!missing.length) return;
    const last = missing.at(-1).seq;
    const found = new Map();
    this.loading = true;
    try {
      const answer = await apiCall("POST", `/conversations/${id}/translations`, { body: { target: reading, before_seq: last + 1 } });
      for (const item of answer.items) found.set(item.message_id, item);
      // What the server left out of its page is in this language already. Earlier pages are asked for next.
      for (const message of missing) if (message.seq > last - PAGE && !found.has(message.id)) found.set(message.id, {});
    } catch (error) {
      for (const message of missing) found.set(message.id, { error });
    }
    this.loading = false;
    if (reading === this.reading) found.forEach((item, messageId) => this.found.set(messageId, item));
    store.emit("timeline", id);
  }

  /** The language that replies are written in for the visitor, or "" where they go as they are. */
  replyTarget(item = this.store.conversation()) {
    const wanted = item?.language;
    if (!this.reading || !wanted || sameLanguage(wanted, this.reading)) return "";
    const targets = this.languages.find((language) => sameLanguage(language.code, this.reading))?.targets || [];
    return targets.find((code) => sameLanguage(code, wanted)) || "";
  }

  /** The choice of the language, and what it means for this conversation. */
  section(item) {
    if (!this.languages.length) return null;
    const select = h("select", { id: "aside-reading", onChange: () => this.readIn(select.value) }, h("option", { value: "" }, t("read_as_written")), this.languages.map((language) => h("option", { value: language.code, selected: language.code === this.reading }, languageName(language.code))));
    const note = h("p", { class: "muted small" });
    const target = this.replyTarget(item);
    if (this.reading && item.language && !sameLanguage(item.language, this.reading)) replace(note, target ? t("replies_in", { language: languageName(target) }) : t("replies_not", { from: languageName(this.reading), to: languageName(item.language) }));
    return h("section", { class: "aside__section" }, h("h3", { class: "panel-title" }, t("translation")), h("div", { class: "field" }, h("label", { for: "aside-reading" }, t("read_in")), select), note.textContent ? note : null);
  }
}
