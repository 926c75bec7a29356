// The row of tasks above a page: a list of tabs that the arrow keys walk.

import { h, icon, replace } from "../js/lib/dom.js";
import { TASKS } from "./tasks.js";
import { taskName } from "./words.js";

export class TaskBar {
  /** `choose(name)` is called by click and arrow keys; `panel` is the id of what the tabs control. */
  constructor(root, tasks, { panel, choose }) {
    this.tabs = tasks.map(({ task }) => h("button", { type: "button", role: "tab", class: "task", id: `task-${task}`, "aria-selected": "false", "aria-controls": panel, tabindex: "-1", dataset: { task }, onClick: () => choose(task) }, icon(TASKS[task].icon), h("span", null, taskName(task))));
    this.panel = document.getElementById(panel);
    this.choose = choose;
    root.addEventListener("keydown", (event) => this.key(event));
    replace(root, this.tabs);
  }

  mark(name) {
    this.at = this.tabs.findIndex((tab) => tab.dataset.task === name);
    for (const [index, tab] of this.tabs.entries()) {
      tab.setAttribute("aria-selected", String(index === this.at));
      tab.tabIndex = index === this.at ? 0 : -1;
    }
    this.tabs[this.at].scrollIntoView({ block: "nearest", inline: "nearest" });
    this.panel.setAttribute("aria-labelledby", `task-${name}`);
  }

  key(event) {
    const count = this.tabs.length;
    const to = { ArrowRight: (this.at + 1) % count, ArrowLeft: (this.at + count - 1) % count, Home: 0, End: count - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    this.choose(this.tabs[to].dataset.task);
    this.tabs[to].focus();
  }
}
