// One text through up to four columns, each with a model and options of its own.

import { h, icon, iconButton, replace } from "../js/lib/dom.js";
import { i18nLoad, jsonRead, t } from "../js/lib/i18n.js";
import { toast } from "../js/lib/toast.js";
import { classifiersGet, refusalText, taskRun, tasksGet } from "./call.js";
import { copyText, table } from "./drawing.js";
import { TextInput } from "./input.js";
import { OptionsForm } from "./options.js";
import { ResultView } from "./result.js";
import { TaskBar } from "./taskbar.js";
import { TASKS } from "./tasks.js";
import { duration, labelName, labelOf, languageName, optionName, percent, signed, taskName, valueName, word } from "./words.js";

const MOST = 4;
const LETTERS = "ABCD";
// Texts that stand in the overview are cut to a line.
const LINE = 90;

const root = document.getElementById("compare");
const part = (name) => root.querySelector(`[data-part="${name}"]`);
i18nLoad(jsonRead("i18n"), document.documentElement.lang);

/** What a result says in one line, and its figure: [text, figure]. Two columns agree when the texts are the same. */
function headline(task, result) {
  const cut = (text) => ([...text].length > LINE ? `${[...text].slice(0, LINE).join("")}…` : text);
  const best = (scores) => Math.max(...Object.values(scores || { none: 0 }));
  const made = {
    sentiment: () => [labelName(result.label), signed(result.score)],
    classify: () => [labelOf(result, result.label), percent(best(result.scores), 1)],
    language: () => [languageName(result.language), percent(result.confidence, 1)],
    moderate: () => [t(result.flagged ? "flagged" : "not_flagged"), ""],
    entities: () => [result.entities.map((one) => one.text).join(" · "), String(result.entities.length)],
    redact: () => [cut(result.text), String(result.entities.length)],
    keywords: () => [result.keywords.map((one) => one.text).join(" · "), String(result.keywords.length)],
    summarize: () => [cut(result.summary), ""],
    translate: () => [cut(result.text), ""],
    generate: () => [cut(result.texts?.[0] || ""), String(result.texts?.length || 0)],
    answer: () => [result.answer || t("not_in_text"), result.score ? percent(result.score, 1) : ""],
  }[task];
  return made ? made() : ["", ""];
}

class Column {
  /** `page` owns the column; `values` are its first options. */
  constructor(page, values) {
    this.page = page;
    this.letter = h("span", { class: "column__letter" });
    this.name = h("h2", { class: "column__name truncate" });
    this.options = h("div", { class: "options" });
    this.pane = h("div", { class: "result column__result" });
    this.remove = iconButton("x", t("remove_column"), { class: "btn btn--ghost btn--icon btn--sm", onClick: () => page.columnRemove(this) });
    this.element = h("section", { class: "card column" },
      h("header", { class: "column__head" }, this.letter, this.name, h("span", { class: "grow" }), this.remove),
      h("details", { class: "column__options", open: true }, h("summary", null, icon("settings", "icon--sm"), t("options")), this.options), this.pane);
    this.form = new OptionsForm(this.options, { choices: page.choices, classifiers: () => page.classifiers, changed: () => page.changed(), lead: ["model"] });
    this.view = new ResultView(this.pane, { retry: () => page.run([this]), cancel: () => page.cancel(), compact: true });
    this.form.show(page.task, values);
    this.clear();
  }

  clear() {
    this.done = null;
    this.view.empty(h("p", { class: "muted small column__waiting" }, t("column_waiting")));
  }

  /** The options in words: what tells this column from the others. */
  title() {
    const options = this.form.read();
    const names = Object.entries(options).map(([name, value]) => {
      if (name === "model" || name === "classifier") return value;
      if (value === true) return optionName(name);
      if (Array.isArray(value)) return `${optionName(name)}: ${value.length}`;
      return typeof value === "object" ? optionName(name) : `${optionName(name)}: ${valueName(name, value)}`;
    });
    return names.join(" · ") || t("all_defaults");
  }
}

class ComparePage {
  constructor() {
    this.choices = jsonRead("choices");
    this.columns = [];
    part("run").addEventListener("click", () => this.run());
    part("add").addEventListener("click", () => this.columnAdd());
    part("share").addEventListener("click", () => this.share());
    part("example").addEventListener("click", () => { this.input.set(TASKS[this.task.task].example.text); this.run(); });
    document.addEventListener("keydown", (event) => this.key(event));
  }

  async start() {
    try {
      const [{ tasks, maxChars }, classifiers] = await Promise.all([tasksGet(), classifiersGet()]);
      Object.assign(this, { tasks, classifiers });
      this.input = new TextInput(root, { readUrl: root.dataset.readUrl, maxChars, changed: () => this.changed() });
    } catch (error) {
      replace(part("tasks"), h("p", { class: "alert alert--danger", role: "alert" }, icon("alert"), refusalText(error).text));
      return;
    }
    this.bar = new TaskBar(part("tasks"), this.tasks, { panel: "task-panel", choose: (name) => this.choose(name) });
    const query = new URLSearchParams(location.search);
    const first = this.tasks.find((one) => one.task === query.get("task")) || this.tasks[0];
    this.choose(first.task, query.getAll("c").slice(0, MOST).map(columnParse).filter(Boolean));
  }

  choose(name, given = []) {
    this.cancel();
    this.task = this.tasks.find((one) => one.task === name);
    this.bar.mark(name);
    part("about").textContent = word(`about_${name}`, "");
    const sets = given.length > 1 ? given : this.proposals(name);
    this.columns = sets.map((values) => new Column(this, values));
    this.draw();
  }

  /** Options worth comparing: each model of the task's role, else each value of its first choice, else twice the same. */
  proposals(name) {
    const base = TASKS[name].example.options;
    const properties = this.task.options.properties || {};
    const versions = (this.classifiers[0]?.versions || []).filter((one) => one.status === "ready");
    if ("classifier" in properties && versions.length > 1) return versions.slice(0, MOST - 1).map((one) => ({ classifier: this.classifiers[0].name, version: one.number }));
    if ("classifier" in properties && this.classifiers.length) return [base, ...this.classifiers.slice(0, MOST - 2).map((one) => ({ classifier: one.name }))];
    if (TASKS[name].compare) return TASKS[name].compare.map((values) => ({ ...values }));
    const models = this.choices.models[TASKS[name].role] || [];
    if ("model" in properties && models.length > 1) return [...models].sort((a, b) => b.default - a.default).slice(0, MOST - 1).map((model) => (model.default ? base : { ...base, model: model.name }));
    const form = new OptionsForm(h("div"), { choices: this.choices, classifiers: () => this.classifiers, changed: () => {} });
    form.show(this.task);
    const choice = (TASKS[name].first || []).find((option) => form.shapes[option]?.kind === "choice");
    if (choice) return form.shapes[choice].values.slice(0, MOST - 1).map((value) => ({ ...base, [choice]: value }));
    return [base, { ...base }];
  }

  columnAdd() {
    if (this.columns.length >= MOST) return;
    const column = new Column(this, this.columns[this.columns.length - 1].form.read());
    this.columns.push(column);
    this.draw();
    column.element.querySelector("select, input, textarea, summary")?.focus();
  }

  columnRemove(column) {
    this.columns = this.columns.filter((one) => one !== column);
    this.draw();
    part("add").focus();
  }

  draw() {
    replace(part("columns"), this.columns.map((column) => column.element));
    part("add").disabled = this.columns.length >= MOST;
    for (const [index, column] of this.columns.entries()) {
      column.letter.textContent = LETTERS[index];
      column.remove.hidden = this.columns.length < 3;
      column.element.setAttribute("aria-label", t("column", { name: LETTERS[index] }));
    }
    this.changed();
    this.overview();
  }

  changed() {
    if (!this.task || !this.input) return;
    part("run").disabled = !this.input.text.trim();
    const query = new URLSearchParams({ task: this.task.task });
    for (const column of this.columns) {
      query.append("c", JSON.stringify(column.form.shareable()));
      column.name.textContent = column.title();
      column.name.title = column.title();
      column.view.staleSet(Boolean(column.done) && (column.done.text !== this.input.text || JSON.stringify(column.done.options) !== JSON.stringify(column.form.read())));
    }
    history.replaceState(null, "", `${location.pathname}?${query}`);
  }

  // -- running -----------------------------------------------------------------------------------------------------------
  /** One column after the other: at once they would share the processor, and their times would say nothing. */
  async run(columns = this.columns) {
    if (!this.input?.text.trim()) {
      this.input?.area.focus();
      return;
    }
    this.cancel();
    const stop = new AbortController();
    this.running = stop;
    const { text } = this.input;
    for (const column of columns) column.clear();
    this.overview();
    for (const column of columns) {
      if (this.running !== stop) return;
      await this.runOne(column, text, stop);
    }
    if (this.running !== stop) return;
    this.running = null;
    part("status").textContent = t("compared", { n: columns.length });
  }

  async runOne(column, text, stop) {
    const options = column.form.read();
    const { task } = this.task;
    column.view.busy(taskName(task));
    try {
      const { result, ms } = await taskRun(task, text, options, stop.signal);
      if (this.running !== stop) return;
      column.done = { task, text, options, result, ms };
      column.view.show(column.done);
    } catch (error) {
      if (this.running !== stop) return;
      column.view.error(error);
    }
    this.overview();
  }

  cancel() {
    if (!this.running) return;
    this.running.abort();
    this.running = null;
    for (const column of this.columns) {
      column.view.stop();
      if (!column.done) column.clear();
    }
  }

  /** A row per column, with what differs from the first one marked. */
  overview() {
    const done = this.columns.filter((column) => column.done);
    part("overview").hidden = done.length < 2;
    if (done.length < 2) return;
    const lines = done.map((column) => headline(this.task.task, column.done.result));
    const fastest = Math.min(...done.map((column) => column.done.ms));
    const rows = done.map((column, index) => {
      const same = lines[index][0] === lines[0][0];
      const mark = index === 0 ? null : h("span", { class: `badge ${same ? "badge--success" : "badge--warning"}` }, icon(same ? "check" : "alert"), t(same ? "agrees" : "differs", { name: LETTERS[this.columns.indexOf(done[0])] }));
      return [LETTERS[this.columns.indexOf(column)], column.done.result.model || "–", h("span", { class: "column__line" }, lines[index][0] || "–", mark), lines[index][1] || "–", h("span", { class: column.done.ms === fastest ? "strong" : "" }, duration(column.done.ms))];
    });
    replace(part("overview-table"), table([{ label: t("column_short") }, { label: t("model"), keep: true }, { label: t("result") }, { label: t("score"), num: true }, { label: t("time"), num: true }], rows, t("overview")));
  }

  async share() {
    if (await copyText(location.href)) toast(t("link_copied"));
    else toast(t("copy_failed"), { danger: true, closeLabel: t("close") });
  }

  key(event) {
    if (event.isComposing) return;
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !document.querySelector("dialog[open]")) {
      event.preventDefault();
      this.run();
    } else if (event.key === "Escape" && this.running) {
      this.cancel();
    }
  }
}

function columnParse(raw) {
  try {
    const value = JSON.parse(raw);
    return value && typeof value === "object" && !Array.isArray(value) ? value : null;
  } catch {
    return null;
  }
}

new ComparePage().start();
