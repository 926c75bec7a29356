// The dialog that teaches a classifier: labels, each with examples, or a pasted table.

import { h, icon, iconButton, replace } from "../js/lib/dom.js";
import { t } from "../js/lib/i18n.js";
import { refusalText } from "./call.js";
import { number } from "./words.js";

const FIRST_LABELS = 2;

/** [{label, text}] of lines "label, text"; lines without a separator are left out. */
export function tableParse(raw) {
  const examples = [];
  let left = 0;
  for (const line of raw.split(/\r?\n/)) {
    if (!line.trim()) continue;
    const match = /^\s*"?([^",;\t]{1,60})"?\s*[,;\t]\s*(.+?)\s*$/.exec(line);
    if (match) examples.push({ label: match[1].trim(), text: match[2].replace(/^"(.*)"$/, "$1").replaceAll('""', '"') });
    else left += 1;
  }
  return { examples, left };
}

export class Editor {
  /** `save({name, examples})` resolves when the server took them, and throws ApiError. */
  constructor(dialog, save) {
    Object.assign(this, { dialog, save });
  }

  /** Opens for a new classifier, or for the examples of `classifier`. */
  open({ classifier = null, examples = [] } = {}) {
    this.classifier = classifier;
    const groups = new Map();
    for (const { label, text } of examples) groups.set(label, [...(groups.get(label) || []), text]);
    this.rows = h("div", { class: "editor__labels" });
    this.state = h("p", { class: "small muted grow", role: "status" });
    this.fault = h("p", { class: "alert alert--danger", role: "alert", hidden: true });
    this.name = h("input", { id: "editor-name", type: "text", maxlength: "80", required: true, autocomplete: "off" });
    this.submit = h("button", { class: "btn btn--primary", type: "submit" }, icon("play"), t(classifier ? "train_new_version" : "train"));
    const form = h("form", { class: "dialog__body stack", onSubmit: (event) => this.send(event) },
      classifier ? null : h("div", { class: "field" }, h("label", { for: "editor-name" }, t("name")), this.name),
      this.rows,
      h("div", { class: "btn-group" }, h("button", { type: "button", class: "btn btn--sm", onClick: () => this.labelAdd("", []).querySelector("input").focus() }, icon("plus"), t("add_label"))),
      this.pasteBox(), this.fault, h("div", { class: "row" }, this.state, this.submit));
    replace(this.dialog, h("div", { class: "dialog__head" }, h("h2", { id: "editor-title" }, classifier ? classifier.name : t("new_classifier")), iconButton("x", t("close"), { onClick: () => this.dialog.close() })), form);
    for (const [label, texts] of groups) this.labelAdd(label, texts);
    while (this.rows.childElementCount < FIRST_LABELS) this.labelAdd("", []);
    this.check();
    this.dialog.showModal();
    if (!classifier) this.name.focus();
  }

  labelAdd(label, texts) {
    const id = `editor-label-${(this.count = (this.count || 0) + 1)}`;
    const area = h("textarea", { id: `${id}-texts`, class: "input", rows: String(Math.min(8, Math.max(3, texts.length))), "aria-label": t("label_examples"), placeholder: t("label_examples"), onInput: () => this.check() });
    area.value = texts.map((text) => text.replace(/\s*\n\s*/g, " ")).join("\n");
    const name = h("input", { class: "input", type: "text", maxlength: "60", value: label, "aria-label": t("label_name"), placeholder: t("label_name"), onInput: () => this.check() });
    const row = h("fieldset", { class: "editor__label" }, h("div", { class: "row" }, name, h("span", { class: "badge editor__count" }), iconButton("trash", t("remove_label"), { class: "btn btn--ghost btn--icon btn--sm", onClick: () => { row.remove(); this.check(); } })), area);
    this.rows.append(row);
    this.check();
    return row;
  }

  pasteBox() {
    const area = h("textarea", { class: "input", rows: "4", id: "editor-table", placeholder: "billing, I was charged twice\ndelivery, Where is my parcel?" });
    const note = h("p", { class: "small muted", role: "status" });
    const take = () => {
      const { examples, left } = tableParse(area.value);
      for (const { label, text } of examples) this.exampleAdd(label, text);
      note.textContent = t("taken_over", { n: number(examples.length), left: number(left) });
      area.value = "";
      this.check();
    };
    return h("details", { class: "options__more" }, h("summary", null, icon("chevron-right", "icon--sm"), t("paste_table")), h("div", { class: "stack stack--sm" }, h("label", { class: "small muted", for: "editor-table" }, t("paste_table_help")), area, h("div", { class: "row" }, h("button", { type: "button", class: "btn btn--sm", onClick: take }, t("take_over")), note)));
  }

  exampleAdd(label, text) {
    const all = [...this.rows.children];
    const row = all.find((one) => one.querySelector("input").value.trim() === label) || all.find((one) => !one.querySelector("input").value.trim() && !one.querySelector("textarea").value.trim()) || this.labelAdd(label, []);
    row.querySelector("input").value = label;
    const area = row.querySelector("textarea");
    area.value = area.value.trim() ? `${area.value.trimEnd()}\n${text}` : text;
  }

  read() {
    return [...this.rows.children].flatMap((row) => {
      const label = row.querySelector("input").value.trim();
      return row.querySelector("textarea").value.split("\n").map((text) => text.trim()).filter((text) => text && label).map((text) => ({ label, text }));
    });
  }

  check() {
    if (!this.state) return;
    for (const row of this.rows.children) row.querySelector(".editor__count").textContent = number(row.querySelector("textarea").value.split("\n").filter((text) => text.trim()).length);
    const examples = this.read();
    const counts = new Map();
    for (const { label } of examples) counts.set(label, (counts.get(label) || 0) + 1);
    const ready = counts.size > 1 && Math.min(...counts.values()) > 1;
    this.state.textContent = `${t("editor_state", { labels: number(counts.size), examples: number(examples.length) })} · ${t(ready ? "editor_ready" : "editor_few")}`;
    this.submit.disabled = !ready;
  }

  async send(event) {
    event.preventDefault();
    this.submit.disabled = true;
    this.fault.hidden = true;
    try {
      await this.save({ classifier: this.classifier, name: this.name.value.trim(), examples: this.read() });
      this.dialog.close();
    } catch (error) {
      replace(this.fault, icon("alert"), refusalText(error).text);
      this.fault.hidden = false;
    } finally {
      this.submit.disabled = false;
    }
  }
}
