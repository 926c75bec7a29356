// The text: typed or pasted, read from a file or a web page, taken from a conversation.

import { ApiError, apiCall } from "../js/lib/api.js";
import { countPoints } from "../js/lib/codepoints.js";
import { h, hue, icon, initials, replace } from "../js/lib/dom.js";
import { t } from "../js/lib/i18n.js";
import { timeElement } from "../js/lib/time.js";
import { refusalText, textRead } from "./call.js";
import { countWords, number } from "./words.js";

const RECENT = 30;
const PAGE = 100;
// Of a conversation; a longer one is read up to here, and the page says so.
const MAX_MESSAGES = 500;

export class TextInput {
  /** `root` holds the parts named in templates/studio/text_input.html; `changed` is called after each change. */
  constructor(root, { readUrl, maxChars, changed }) {
    Object.assign(this, { root, readUrl, maxChars, changed });
    this.part = (name) => root.querySelector(`[data-part="${name}"]`);
    this.area = this.part("text");
    this.area.addEventListener("input", () => this.after());
    this.part("clear").addEventListener("click", () => { this.set(""); this.area.focus(); });
    this.part("file").addEventListener("change", (event) => this.fileTake(event.target.files[0]));
    this.part("pick-file").addEventListener("click", () => this.part("file").click());
    this.part("pick-url").addEventListener("click", () => this.open("url-dialog"));
    this.part("pick-conversation")?.addEventListener("click", () => { this.open("conversation-dialog"); this.conversationsShow(); });
    this.part("url-form").addEventListener("submit", (event) => this.urlTake(event));
    this.part("only-visitor")?.addEventListener("change", () => this.conversationsShow());
    this.dropArm();
    this.after();
  }

  get text() {
    return this.area.value;
  }

  set(text, note = "") {
    this.area.value = text;
    this.area.scrollTop = 0;
    this.note(note);
    this.after();
  }

  note(text, tone = "") {
    const line = this.part("note");
    line.textContent = text;
    line.hidden = !text;
    line.dataset.tone = tone;
  }

  after() {
    const chars = countPoints(this.text);
    const count = this.part("count");
    count.textContent = chars ? t("n_words_chars", { words: number(countWords(this.text)), chars: number(chars) }) : "";
    count.dataset.tone = chars > this.maxChars ? "bad" : "";
    this.part("clear").hidden = !chars;
    this.changed();
  }

  open(name) {
    this.part(name).showModal();
  }

  // -- files -------------------------------------------------------------------------------------------------------------
  dropArm() {
    let inside = 0;
    const mark = (on) => this.root.classList.toggle("text-input--drop", on);
    this.root.addEventListener("dragenter", (event) => { if (event.dataTransfer?.types.includes("Files")) { event.preventDefault(); inside += 1; mark(true); } });
    this.root.addEventListener("dragleave", () => { inside = Math.max(0, inside - 1); if (!inside) mark(false); });
    this.root.addEventListener("dragover", (event) => { if (event.dataTransfer?.types.includes("Files")) event.preventDefault(); });
    this.root.addEventListener("drop", (event) => {
      inside = 0;
      mark(false);
      if (!event.dataTransfer?.files.length) return;
      event.preventDefault();
      this.fileTake(event.dataTransfer.files[0]);
    });
  }

  async fileTake(file) {
    this.part("file").value = "";
    if (file) await this.read({ file }, file.name);
  }

  async urlTake(event) {
    event.preventDefault();
    const url = this.part("url").value.trim();
    this.part("url-dialog").close();
    if (url) await this.read({ url }, url);
  }

  async read(fields, name) {
    this.root.setAttribute("aria-busy", "true");
    this.note(t("reading", { name }), "busy");
    try {
      const found = await textRead(this.readUrl, fields);
      const cut = found.cut ? ` ${t("text_cut", { n: number(this.maxChars), of: number(found.chars) })}` : "";
      const hidden = found.hidden_text ? ` ${t("hidden_text")}` : "";
      this.set(found.text, t("read_from", { name: found.title || name }) + cut + hidden);
      if (cut) this.part("note").dataset.tone = "bad";
    } catch (error) {
      this.note(`${t("read_failed", { name })} ${refusalText(error).text}`, "bad");
    } finally {
      this.root.setAttribute("aria-busy", "false");
    }
  }

  // -- conversations -----------------------------------------------------------------------------------------------------
  async conversationsShow() {
    const list = this.part("conversations");
    replace(list, Array.from({ length: 4 }, () => h("li", { class: "recent__skeleton", "aria-hidden": "true" }, h("span", { class: "skeleton skeleton--circle" }), h("span", { class: "grow stack stack--sm" }, h("span", { class: "skeleton skeleton--short" }), h("span", { class: "skeleton skeleton--long" })))));
    try {
      const { items } = await apiCall("GET", "/conversations", { query: { limit: RECENT } });
      replace(list, items.length ? items.map((item) => this.conversationRow(item)) : h("li", { class: "empty" }, h("p", { class: "empty__title" }, t("no_conversations")), h("p", { class: "empty__text" }, t("no_conversations_help"))));
    } catch (error) {
      replace(list, h("li", { class: "empty" }, h("p", { class: "empty__text" }, refusalText(error).text)));
    }
  }

  conversationRow(item) {
    const name = item.contact?.name || item.contact?.email || t("visitor");
    return h("li", null, h("button", { type: "button", class: "recent__row", onClick: () => this.conversationTake(item.id, name) },
      h("span", { class: "avatar", "aria-hidden": "true", dataset: { hue: hue(item.contact?.id) } }, initials(name)),
      h("span", { class: "recent__main" }, h("span", { class: "row row--between" }, h("span", { class: "strong truncate" }, name), item.last_message ? timeElement(item.last_message.created_at, "faint small") : null), h("span", { class: "truncate muted small" }, item.last_message?.text || ""))));
  }

  async conversationTake(id, name) {
    this.part("conversation-dialog").close();
    this.note(t("reading", { name }), "busy");
    const onlyVisitor = this.part("only-visitor").checked;
    try {
      const { messages, more } = await this.messages(id);
      const spoken = messages.filter((one) => !one.private && one.role !== "system" && (!onlyVisitor || one.role === "contact"));
      const text = spoken.map((one) => (onlyVisitor ? one.text : `${t(`role_${one.role}`)}: ${one.text}`)).join(onlyVisitor ? "\n\n" : "\n");
      this.set(text, t("read_conversation", { name, n: number(spoken.length) }) + (more ? ` ${t("conversation_cut", { n: number(MAX_MESSAGES) })}` : ""));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.note(`${t("read_failed", { name })} ${refusalText(error).text}`, "bad");
    }
  }

  async messages(id) {
    const messages = [];
    let after = 0;
    while (messages.length < MAX_MESSAGES) {
      const { items } = await apiCall("GET", `/conversations/${id}/messages`, { query: { after_seq: after, limit: PAGE } });
      messages.push(...items);
      if (items.length < PAGE) return { messages, more: false };
      after = items[items.length - 1].seq;
    }
    return { messages: messages.slice(0, MAX_MESSAGES), more: true };
  }
}

/** What stands where no result is yet. */
export function emptyState({ name, exampleRun, hint }) {
  return h("div", { class: "empty" }, h("span", { class: "empty__icon" }, icon(name)), h("p", { class: "empty__title" }, t("result_here")), h("p", { class: "empty__text" }, t("result_how")),
    h("button", { type: "button", class: "btn", onClick: exampleRun }, icon("sparkle"), t("try_example")), hint);
}
