// Terms of the glossary, and approved texts: adding, searching, removing.

import { apiCall } from "../js/lib/api.js";
import { h, icon } from "../js/lib/dom.js";
import { t } from "../js/lib/i18n.js";
import { PagedList, tableOf } from "./translation_list.js";
import { languageName } from "./words.js";

const TYPING_MS = 250;
const LONG_CHARS = 400;

class Kept extends PagedList {
  start() {
    this.writes = Boolean(this.root.dataset.write);
    this.part("form")?.addEventListener("submit", (event) => this.submit(event));
    this.load();
  }

  async submit(event) {
    event.preventDefault();
    const button = this.part("submit");
    button.disabled = true;
    try {
      await apiCall("POST", this.path, { body: this.body() });
      this.part("text").value = "";
      this.part("translation").value = "";
      this.part("text").focus();
      this.say(this.saved());
      await this.load(this.query);
    } catch (error) {
      this.failed(error);
    } finally {
      button.disabled = false;
    }
  }

  languages(one) {
    return t("from_to", { source: languageName(one.source), target: languageName(one.target) });
  }
}

export class TermsList extends Kept {
  constructor(root) {
    super(root, "/analysis/translation/glossary");
  }

  body() {
    return { source: this.part("source").value, target: this.part("target").value, term: this.part("text").value, translation: this.part("translation").value, case_sensitive: this.part("case").checked };
  }

  saved() {
    return t("term_saved");
  }

  empty() {
    return this.emptyCard("book", t("terms_empty"), t("terms_empty_text"));
  }

  table() {
    const rows = this.items.map((one) => h("tr", null,
      h("th", { scope: "row", class: "translation__text", lang: one.source }, one.term),
      h("td", { class: "translation__text", lang: one.target }, one.translation),
      h("td", null, this.languages(one)),
      h("td", null, one.case_sensitive ? h("span", { class: "badge" }, icon("check"), t("term_case")) : ""),
      h("td", { class: "actions" }, this.writes ? this.removeButton(t("term_remove", { term: one.term }), () => this.remove(one, t("term_removed"))) : null)));
    return tableOf([t("term"), t("term_translation"), t("doc_languages"), t("term_case"), t("actions")], rows, this.part("list").getAttribute("aria-label"));
  }
}

export class MemoryList extends Kept {
  constructor(root) {
    super(root, "/analysis/translation/memory");
  }

  start() {
    this.part("search").addEventListener("input", (event) => {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.load({ q: event.target.value.trim() }), TYPING_MS);
    });
    super.start();
  }

  body() {
    return { source: this.part("source").value, target: this.part("target").value, units: [{ text: this.part("text").value, translation: this.part("translation").value }] };
  }

  saved() {
    return t("unit_saved");
  }

  empty() {
    return this.query?.q ? this.emptyCard("search", "", t("units_none_found")) : this.emptyCard("check-circle", t("units_empty"), t("units_empty_text"));
  }

  table() {
    const cell = (tag, text, lang) => h(tag, { scope: tag === "th" ? "row" : null, lang }, h("div", { class: `translation__text ${text.length > LONG_CHARS ? "translation__text--long" : ""}`, tabindex: text.length > LONG_CHARS ? "0" : null }, text));
    const rows = this.items.map((one) => h("tr", null,
      cell("td", one.text, one.source),
      cell("td", one.translation, one.target),
      h("td", null, this.languages(one)),
      h("td", { class: "actions" }, this.writes ? this.removeButton(t("unit_remove", { text: one.text.slice(0, 80) }), () => this.remove(one, t("unit_removed"))) : null)));
    return tableOf([t("unit_text"), t("unit_translation"), t("doc_languages"), t("actions")], rows, this.part("list").getAttribute("aria-label"));
  }
}
