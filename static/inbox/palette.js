// The command palette and the list of keys.

import { h, icon, replace } from "../js/lib/dom.js";
import { t } from "../js/lib/i18n.js";

export class Palette {
  /** `commands()` gives [{label, icon, keys?, run}] for the present moment. */
  constructor(dialog, commands) {
    this.dialog = dialog;
    this.commands = commands;
    this.input = h("input", { class: "palette__input", type: "text", role: "combobox", "aria-expanded": "true", "aria-controls": "palette-list", "aria-label": t("palette"), placeholder: t("palette_hint"), autocomplete: "off", onInput: () => this.filter(), onKeydown: (event) => this.keydown(event) });
    this.list = h("ul", { class: "palette__list", id: "palette-list", role: "listbox", "aria-label": t("palette") });
    replace(dialog, this.input, this.list);
    dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  }

  open() {
    this.input.value = "";
    this.all = this.commands();
    this.filter();
    this.dialog.showModal();
    this.input.focus();
  }

  filter() {
    const words = this.input.value.toLocaleLowerCase().split(/\s+/).filter(Boolean);
    this.found = this.all.filter((command) => words.every((word) => command.label.toLocaleLowerCase().includes(word)));
    this.at = 0;
    this.render();
  }

  render() {
    replace(this.list, this.found.length ? this.found.map((command, index) => h("li", { class: "palette__item", id: `palette-${index}`, role: "option", "aria-selected": String(index === this.at), onClick: () => this.run(index) }, icon(command.icon), h("span", { class: "truncate" }, command.label), command.keys ? h("kbd", { class: "palette__hint" }, command.keys) : null)) : h("li", { class: "empty" }, t("palette_nothing")));
    this.input.setAttribute("aria-activedescendant", this.found.length ? `palette-${this.at}` : "");
    this.list.children[this.at]?.scrollIntoView({ block: "nearest" });
  }

  keydown(event) {
    if (event.isComposing) return;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      const count = this.found.length || 1;
      this.at = (this.at + (event.key === "ArrowDown" ? 1 : count - 1)) % count;
      this.render();
    } else if (event.key === "Enter") {
      event.preventDefault();
      this.run(this.at);
    }
  }

  run(index) {
    const command = this.found[index];
    if (!command) return;
    this.dialog.close();
    command.run();
  }
}

export function helpFill(dialog, keys) {
  replace(dialog, h("div", { class: "dialog__head" }, h("h2", null, t("keys_title")), h("button", { class: "btn btn--ghost btn--icon", type: "button", "aria-label": t("close"), onClick: () => dialog.close() }, icon("x"))),
    h("div", { class: "dialog__body" }, h("div", { class: "keys" }, keys.map(([name, label]) => h("div", null, h("span", null, label), h("span", null, name.split(" ").map((key) => h("kbd", null, key))))))));
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
}
