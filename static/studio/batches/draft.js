// A draft: which column holds what, which task, and off it goes.

import { apiCall } from "../../js/lib/api.js";
import { h, icon, replace } from "../../js/lib/dom.js";
import { t } from "../../js/lib/i18n.js";
import { classifiersGet, tasksGet } from "../call.js";
import { OptionsForm } from "../options.js";
import { taskName } from "../words.js";
import { alertBox, refusal } from "./names.js";

const ROLES = ["text", "time", "source", "reference"];

export class Draft {
  constructor(root, { batch, choices, started }) {
    Object.assign(this, { root, batch, choices, started });
    this.header = true;
    this.roles = Object.fromEntries(Object.entries(batch.preview.guess).map(([role, name]) => [role, batch.preview.header.indexOf(name)]));
  }

  async show() {
    const [{ tasks }, classifiers] = await Promise.all([tasksGet(), classifiersGet()]);
    this.tasks = tasks;
    this.options = h("div", { class: "options" });
    this.form = new OptionsForm(this.options, { choices: this.choices, classifiers: () => classifiers, changed: () => {} });
    this.task = h("select", { id: "batch-task", onChange: () => this.taskSet() }, tasks.map((task) => h("option", { value: task.task }, taskName(task.task))));
    this.headerBox = h("input", { type: "checkbox", id: "batch-header", checked: true, onChange: () => { this.header = this.headerBox.checked; this.tableShow(); } });
    this.topics = h("input", { type: "checkbox", id: "batch-topics", checked: true });
    this.table = h("div", { class: "table-wrap draft__table", tabindex: "0", role: "region", "aria-label": t("draft_title") });
    this.problem = h("div", { role: "alert" });
    this.start = h("button", { type: "submit", class: "btn btn--primary btn--lg" }, icon("play"), t("batch_start"));
    replace(this.root, h("form", { class: "stack", onSubmit: (event) => this.submit(event) },
      h("section", { class: "card" }, h("div", { class: "card__head" }, h("div", null, h("h2", null, t("draft_title")), h("p", { class: "small muted" }, t("draft_columns")))), this.table,
        this.batch.format === "jsonl" ? null : h("div", { class: "card__foot" }, h("div", { class: "field field--check" }, this.headerBox, h("label", { for: "batch-header" }, t("has_header"))))),
      h("section", { class: "card card__body" },
        h("div", { class: "field draft__task" }, h("label", { for: "batch-task" }, t("batch_task")), this.task),
        this.options,
        h("div", null, h("div", { class: "field field--check" }, this.topics, h("label", { for: "batch-topics" }, t("wants_topics"))), h("p", { class: "field__help small muted" }, t("wants_topics_help"))),
        this.problem, h("div", { class: "btn-group" }, this.start))));
    this.tableShow();
    this.taskSet();
  }

  taskSet() {
    this.form.show(this.tasks.find((task) => task.task === this.task.value));
  }

  tableShow() {
    const { header, rows } = this.batch.preview;
    const shown = this.header ? rows : [header, ...rows];
    const names = this.header ? header : header.map((_, at) => String(at + 1));
    replace(this.table, h("table", { class: "table draft__preview" },
      h("thead", null, h("tr", null, names.map((name, at) => h("th", { scope: "col" }, h("span", { class: "draft__column", title: name }, name), this.roleSelect(name, at))))),
      h("tbody", null, shown.slice(0, 8).map((row) => h("tr", null, row.map((cell) => h("td", null, h("span", { class: "draft__cell" }, cell))))))));
  }

  roleSelect(name, at) {
    const role = ROLES.find((one) => this.roles[one] === at) || "";
    return h("select", { class: "input draft__role", "aria-label": t("role_of", { name }), onChange: (event) => this.roleSet(event.target.value, at) },
      h("option", { value: "" }, t("role_none")), ROLES.map((one) => h("option", { value: one, selected: one === role }, t(`role_${one}`))));
  }

  roleSet(role, at) {
    for (const one of ROLES) if (this.roles[one] === at) delete this.roles[one];
    if (role) this.roles[role] = at;
    this.tableShow();
    this.table.querySelectorAll("select")[at]?.focus();
  }

  async submit(event) {
    event.preventDefault();
    replace(this.problem);
    if (this.roles.text === undefined) {
      replace(this.problem, alertBox(t("column_needed")));
      return;
    }
    const name = (at) => (this.header ? this.batch.preview.header[at] : String(at + 1));
    const columns = Object.fromEntries(Object.entries(this.roles).map(([role, at]) => [role, name(at)]));
    this.start.disabled = true;
    try {
      const body = { task: this.task.value, columns, options: this.form.read(), header: this.header, topics: this.topics.checked };
      this.started(await apiCall("POST", `/jobs/${this.batch.id}/start`, { body }));
    } catch (error) {
      this.start.disabled = false;
      const details = (Array.isArray(error.details) ? error.details : []).map((one) => `${one.field}: ${one.message}`).join(" · ");
      replace(this.problem, alertBox([refusal(error), details].filter(Boolean).join(" ")));
    }
  }
}
