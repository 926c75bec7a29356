// A list of rows from the API, with its empty, loading and failed states, and more rows on request.

import { apiCall } from "../js/lib/api.js";
import { h, icon, replace } from "../js/lib/dom.js";
import { t } from "../js/lib/i18n.js";
import { toast } from "../js/lib/toast.js";
import { refusalText } from "./call.js";

const LIMIT = 50;

export class PagedList {
  constructor(root, path) {
    this.root = root;
    this.path = path;
    this.items = [];
    this.cursor = "";
  }

  part(name) {
    return this.root.querySelector(`[data-part="${name}"]`);
  }

  /** Loads the first page again; what is shown stays until the answer is there. */
  async load(query = {}) {
    const asked = (this.asked = Symbol("load"));
    try {
      const answer = await apiCall("GET", this.path, { query: { limit: LIMIT, ...query } });
      if (asked !== this.asked) return false;
      this.items = answer.items;
      this.cursor = answer.next_cursor || "";
      this.query = query;
      this.show();
      return true;
    } catch (error) {
      if (asked === this.asked) this.failedShow(error, query);
      return false;
    }
  }

  async more() {
    try {
      const answer = await apiCall("GET", this.path, { query: { limit: LIMIT, cursor: this.cursor, ...this.query } });
      this.items = [...this.items, ...answer.items];
      this.cursor = answer.next_cursor || "";
      this.show();
    } catch (error) {
      this.failed(error);
    }
  }

  show() {
    const list = this.part("list");
    list.setAttribute("aria-busy", "false");
    replace(list, this.items.length ? this.table() : this.empty(), this.cursor ? h("button", { type: "button", class: "btn", onClick: () => this.more() }, t("load_more")) : null);
  }

  emptyCard(iconName, title, text) {
    return h("div", { class: "card" }, h("div", { class: "empty" }, h("span", { class: "empty__icon" }, icon(iconName)), title ? h("p", { class: "empty__title" }, title) : null, h("p", { class: "empty__text" }, text)));
  }

  failedShow(error, query) {
    const list = this.part("list");
    list.setAttribute("aria-busy", "false");
    replace(list, h("div", { class: "card" }, h("div", { class: "empty", role: "alert" }, h("span", { class: "empty__icon empty__icon--danger" }, icon("alert")), h("p", { class: "empty__text" }, refusalText(error).text), h("button", { type: "button", class: "btn", onClick: () => this.load(query) }, icon("refresh"), t("try_again")))));
  }

  failed(error) {
    toast(refusalText(error).text, { danger: true, closeLabel: t("close") });
  }

  say(text) {
    this.part("status").textContent = text;
  }

  /** Removes a row there and here, and gives the focus to what follows it. */
  async remove(item, said) {
    try {
      await apiCall("DELETE", `${this.path}/${item.id}`);
    } catch (error) {
      if (error.status !== 404) return this.failed(error);
    }
    const place = this.items.findIndex((one) => one.id === item.id);
    this.items = this.items.filter((one) => one.id !== item.id);
    this.show();
    this.say(said);
    const buttons = this.part("list").querySelectorAll("[data-remove]");
    (buttons[Math.min(place, buttons.length - 1)] || this.part("list").querySelector("button, a"))?.focus();
    return undefined;
  }

  removeButton(label, run) {
    return h("button", { type: "button", class: "btn btn--ghost btn--icon", "aria-label": label, title: label, "data-remove": true, onClick: run }, icon("trash"));
  }
}

/** A table; `columns` are names, the last one for screen readers alone. */
export function tableOf(columns, rows, name) {
  const heads = columns.map((column, place) => h("th", { scope: "col" }, place === columns.length - 1 ? h("span", { class: "sr-only" }, column) : column));
  return h("div", { class: "table-wrap", tabindex: "0", role: "region", "aria-label": name }, h("table", { class: "table" }, h("thead", null, h("tr", null, heads)), h("tbody", null, rows)));
}
