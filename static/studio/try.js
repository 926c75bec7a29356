// The page to try a text: tasks above, the text at the left, the result at the right.

import { h, icon, replace } from "../js/lib/dom.js";
import { i18nLoad, jsonRead, t } from "../js/lib/i18n.js";
import { toast } from "../js/lib/toast.js";
import { cardShow } from "./card.js";
import { classifiersGet, refusalText, taskRun, tasksGet } from "./call.js";
import { copyText } from "./drawing.js";
import { TextInput, emptyState } from "./input.js";
import { OptionsForm } from "./options.js";
import { ResultView } from "./result.js";
import { stateRead, stateWrite } from "./state.js";
import { TaskBar } from "./taskbar.js";
import { TASKS } from "./tasks.js";
import { taskName, word } from "./words.js";

const root = document.getElementById("try");
const part = (name) => root.querySelector(`[data-part="${name}"]`);
i18nLoad(jsonRead("i18n"), document.documentElement.lang);

class TryPage {
  constructor() {
    this.choices = jsonRead("choices");
    this.classifiers = [];
    this.kept = {};
    this.shown = new Map();
    this.task = null;
    this.result = new ResultView(part("result"), { retry: () => this.run(), cancel: () => this.cancel() });
    this.form = new OptionsForm(part("options"), { choices: this.choices, classifiers: () => this.classifiers, changed: () => this.changed() });
    part("run").addEventListener("click", () => this.run());
    part("explain").addEventListener("change", () => this.changed());
    part("share").addEventListener("click", () => this.share());
    document.addEventListener("keydown", (event) => this.key(event));
  }

  async start() {
    try {
      const [{ tasks, maxChars }, classifiers] = await Promise.all([tasksGet(), classifiersGet()]);
      Object.assign(this, { tasks, maxChars, classifiers });
    } catch (error) {
      const { text } = refusalText(error);
      replace(part("tasks"), h("p", { class: "alert alert--danger", role: "alert" }, icon("alert"), text));
      return;
    }
    this.input = new TextInput(root, { readUrl: root.dataset.readUrl, maxChars: this.maxChars, changed: () => this.changed() });
    const state = stateRead();
    this.bar = new TaskBar(part("tasks"), this.tasks, { panel: "task-panel", choose: (name) => this.choose(name) });
    const first = this.tasks.find((one) => one.task === state.task) || this.tasks[0];
    this.choose(first.task, state.options, state.explain);
    part("panes").setAttribute("aria-busy", "false");
  }

  // -- tasks -------------------------------------------------------------------------------------------------------------
  choose(name, values = null, explain = part("explain").checked) {
    if (this.task) this.kept[this.task.task] = this.form.read();
    this.cancel();
    this.task = this.tasks.find((one) => one.task === name);
    this.bar.mark(name);
    part("about").textContent = word(`about_${name}`, "");
    this.form.show(this.task, values || this.kept[name] || {});
    cardShow(part("card"), this.task.card);
    part("explain-box").hidden = !this.task.explains;
    part("explain").checked = explain && this.task.explains;
    const before = this.shown.get(name);
    if (before) this.result.show(before);
    else this.emptyShow();
    this.changed();
  }

  emptyShow() {
    this.result.empty(emptyState({ name: TASKS[this.task.task].icon, exampleRun: () => this.example(), hint: h("p", { class: "small faint try__keys" }, h("kbd", null, "Ctrl"), " ", h("kbd", null, "↵"), ` ${t("runs")}`) }));
  }

  example() {
    const { text, options } = TASKS[this.task.task].example;
    this.form.show(this.task, { ...options });
    this.input.set(text, "");
    this.run();
  }

  // -- state -------------------------------------------------------------------------------------------------------------
  options() {
    const explain = this.task.explains && part("explain").checked;
    return explain ? { ...this.form.read(), explain: true } : this.form.read();
  }

  /** The text, or what stands in for it where none is needed. */
  text() {
    return this.input.text.trim() ? this.input.text : TASKS[this.task.task].asks?.(this.form.read()) || "";
  }

  changed() {
    if (!this.task) return;
    part("run").disabled = !this.text().trim();
    stateWrite({ task: this.task.task, options: this.form.shareable(), explain: this.task.explains && part("explain").checked });
    const shown = this.shown.get(this.task.task);
    if (shown) this.result.staleSet(shown.text !== this.text() || JSON.stringify(shown.options) !== JSON.stringify(this.options()));
  }

  async share() {
    if (await copyText(location.href)) toast(t("link_copied"));
    else toast(t("copy_failed"), { danger: true, closeLabel: t("close") });
  }

  // -- running -----------------------------------------------------------------------------------------------------------
  async run() {
    if (!this.task || !this.text().trim()) {
      this.input?.area.focus();
      return;
    }
    this.cancel();
    const { task } = this.task;
    const options = this.options();
    const text = this.text();
    const stop = new AbortController();
    this.running = stop;
    this.result.busy(taskName(task));
    if (matchMedia("(max-width: 60rem)").matches) part("result").scrollIntoView({ block: "start" });
    try {
      const { result, ms } = await taskRun(task, text, options, stop.signal);
      if (this.running !== stop) return;
      this.shown.set(task, { task, text, options, result, ms });
      this.result.show(this.shown.get(task));
      part("status").textContent = t("done_task", { name: taskName(task) });
    } catch (error) {
      if (this.running !== stop || stop.signal.aborted) return;
      this.shown.delete(task);
      this.result.error(error);
    } finally {
      if (this.running === stop) this.running = null;
    }
  }

  cancel() {
    if (!this.running) return;
    this.running.abort();
    this.running = null;
    this.result.stop();
    this.emptyShow();
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

new TryPage().start();
