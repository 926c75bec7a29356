// The form of a task's options, made from the JSON schema that GET /api/v1/nlp gives, with better controls where a
// name is known. Only what differs from the default is sent, so that the shown command stays short.

import { h, icon, replace } from "../js/lib/dom.js";
import { t } from "../js/lib/i18n.js";
import { TASKS } from "./tasks.js";
import { labelName, languageName, optionName, valueName, word } from "./words.js";

let ids = 0;

/** {kind, values, min, max, integer, fallback} of a property of a schema; references and "or null" resolved. */
export function shapeOf(property, definitions = {}) {
  let found = property;
  if (found.anyOf) found = { ...found, ...(found.anyOf.find((one) => one.type !== "null") || {}) };
  if (found.allOf?.length === 1) found = { ...found, ...found.allOf[0] };
  if (found.$ref) found = { ...definitions[found.$ref.split("/").pop()], ...found };
  const shape = { kind: "json", fallback: property.default, min: found.minimum ?? found.exclusiveMinimum, max: found.maximum ?? found.exclusiveMaximum, maxLength: found.maxLength, maxItems: found.maxItems };
  const items = found.items?.$ref ? definitions[found.items.$ref.split("/").pop()] : found.items;
  if (found.enum || found.const !== undefined) return { ...shape, kind: "choice", values: found.enum || [found.const] };
  if (found.type === "boolean") return { ...shape, kind: "flag" };
  if (found.type === "integer" || found.type === "number") return { ...shape, kind: "number", integer: found.type === "integer" };
  if (found.type === "string") return { ...shape, kind: "text" };
  if (found.type === "array" && items?.enum) return { ...shape, kind: "choices", values: items.enum };
  if (found.type === "array" && items?.type === "string") return { ...shape, kind: "list" };
  if (found.type === "object" && found.additionalProperties?.type === "string") return { ...shape, kind: "map" };
  return shape;
}

function same(a, b) {
  return JSON.stringify(a ?? null) === JSON.stringify(b ?? null);
}

function empty(value) {
  return value === null || value === undefined || value === "" || (Array.isArray(value) && !value.length);
}

export class OptionsForm {
  /**
   * `choices`: {models, collections, pairs}; `classifiers()` gives [{id, name, versions}]; `changed` is called after each
   * change; `lead` names options that come before all others.
   */
  constructor(root, { choices, classifiers, changed, lead = [] }) {
    Object.assign(this, { root, choices, classifiers, changed, lead, values: {}, shapes: {} });
  }

  /** Shows the form of `task` ({task, options}) with `values` where they fit. */
  show(task, values = {}) {
    this.task = task.task;
    this.about = TASKS[this.task] || {};
    const properties = Object.entries(task.options.properties || {}).filter(([name]) => name !== "explain");
    this.shapes = Object.fromEntries(properties.map(([name, property]) => [name, this.shape(name, shapeOf(property, task.options.$defs))]));
    this.values = {};
    for (const [name, value] of Object.entries(values)) if (name in this.shapes) this.values[name] = value;
    const names = Object.keys(this.shapes).filter((name) => this.offered(name));
    const first = [...this.lead, ...(this.about.first || [])].filter((name) => names.includes(name));
    const rest = names.filter((name) => !first.includes(name));
    const fields = (list) => list.map((name) => this.field(name));
    const open = rest.some((name) => name in this.values);
    replace(this.root,
      first.length ? h("div", { class: "options__grid" }, fields(first)) : null,
      rest.length ? h("details", { class: "options__more", open }, h("summary", null, icon("chevron-right", "icon--sm"), t("more_options", { n: rest.length })), h("div", { class: "options__grid" }, fields(rest))) : null);
    this.root.hidden = !names.length;
    this.depend();
  }

  shape(name, shape) {
    if (this.about.values?.[name]) return { ...shape, kind: "choices", values: this.about.values[name] };
    if (this.about.shares?.[name]) return { ...shape, kind: "shares", values: this.about.shares[name] };
    return shape;
  }

  offered(name) {
    if ((this.about.hidden || []).includes(name)) return false;
    if (name === "model") return this.models().length > 1;
    if (name === "collection" || name === "collections") return this.choices.collections.length > 0;
    return true;
  }

  models() {
    return this.choices.models[this.about.role] || [];
  }

  /** The options that differ from their defaults. */
  read() {
    const result = {};
    for (const [name, value] of Object.entries(this.values)) {
      if (!this.applies(name) || empty(value) || same(value, this.shapes[name]?.fallback)) continue;
      result[name] = value;
    }
    return result;
  }

  /** The same without what a person wrote: fit for an address. */
  shareable() {
    return Object.fromEntries(Object.entries(this.read()).filter(([name]) => !(this.about.personal || []).includes(name)));
  }

  set(name, value) {
    this.values[name] = value;
    if (name === "classifier") this.versionsRefresh();
    this.depend();
    this.changed();
  }

  /** The versions to choose from are those of the classifier. */
  versionsRefresh() {
    delete this.values.version;
    const field = this.root.querySelector('[data-option="version"]');
    if (field) field.replaceWith(this.field("version"));
  }

  current(name) {
    return this.values[name] ?? this.shapes[name]?.fallback;
  }

  applies(name) {
    const rule = this.about.when?.[name];
    return rule ? rule((other) => this.current(other)) : true;
  }

  /** Options that mean nothing beside another one step back. */
  depend() {
    for (const element of this.root.querySelectorAll("[data-option]")) element.hidden = !this.applies(element.dataset.option);
  }

  // -- controls ----------------------------------------------------------------------------------------------------------
  field(name) {
    const shape = this.shapes[name];
    const id = `option-${++ids}`;
    const help = word(`help_${this.task}_${name}`, word(`help_${name}`, ""));
    const described = help ? `${id}-help` : null;
    const control = this.control(name, shape, { id, "aria-describedby": described });
    const wide = shape.kind === "list" || shape.kind === "choices" || shape.kind === "map" || shape.kind === "shares" || shape.kind === "json" || (this.about.wide || []).includes(name);
    const helpLine = help ? h("p", { class: "field__help", id: described }, help) : null;
    const props = { dataset: { option: name } };
    if (shape.kind === "flag") return h("div", { ...props, class: "options__flag" }, h("div", { class: "field field--check" }, control, h("label", { for: id }, optionName(name))), helpLine);
    const label = shape.kind === "choices" || shape.kind === "shares" ? h("span", { class: "field__label", id: `${id}-label` }, optionName(name)) : h("label", { for: id }, optionName(name));
    return h("div", { ...props, class: `field ${wide ? "options__wide" : ""}` }, label, control, helpLine);
  }

  control(name, shape, props) {
    const special = this.special(name);
    if (special) return this.select(name, special, props);
    const make = { choice: "choice", flag: "flag", number: "number", text: "text", list: "list", choices: "checks", map: "map", shares: "shares", json: "json" }[shape.kind];
    return this[make](name, shape, props);
  }

  /** Choices that the schema does not list: [[value, label]] or null. */
  special(name) {
    if (name === "model") return this.modelPairs();
    if (name === "collection") return [["", t(this.task === "answer" ? "over_the_text" : "no_collection")], ...(this.task === "answer" ? [["*", t("all_collections")]] : []), ...this.choices.collections.map((one) => [one, one])];
    if (name === "classifier") return [["", t("no_classifier")], ...this.classifiers().map((one) => [one.name, one.name])];
    if (name === "version") return this.versionPairs();
    if ((name === "source" || name === "target") && this.task === "translate") return this.languages(name === "source" ? 0 : 1, name === "source");
    return null;
  }

  modelPairs() {
    const main = this.models().find((model) => model.default);
    return [["", main ? t("default_model", { name: main.name }) : t("default_choice")], ...this.models().filter((model) => model !== main).map((model) => [model.name, model.name])];
  }

  versionPairs() {
    const chosen = this.classifiers().find((one) => one.name === this.values.classifier);
    const ready = (chosen?.versions || []).filter((one) => one.status === "ready");
    return [[0, t("version_active")], ...ready.map((one) => [one.number, t("version", { n: one.number })])];
  }

  languages(side, auto) {
    const codes = [...new Set(this.choices.pairs.map((pair) => pair[side]))].map((code) => [code, languageName(code)]);
    return auto ? [["auto", languageName("auto")], ...codes] : codes;
  }

  select(name, pairs, props) {
    if (this.values[name] === undefined && empty(this.shapes[name].fallback) && !pairs.some(([value]) => value === "")) this.values[name] = pairs[0]?.[0];
    const value = String(this.current(name) ?? "");
    return h("select", { ...props, onChange: (event) => this.set(name, pairs[event.target.selectedIndex][0]) }, pairs.map(([code, label]) => h("option", { value: code, selected: String(code) === value }, label)));
  }

  choice(name, shape, props) {
    const value = this.current(name);
    const nullable = shape.fallback === null || shape.fallback === undefined;
    const pairs = shape.values.map((one, index) => h("option", { value: index, selected: same(one, value) }, valueName(name, one)));
    return h("select", { ...props, onChange: (event) => this.set(name, event.target.value === "" ? null : shape.values[Number(event.target.value)]) }, nullable ? h("option", { value: "" }, t("default_choice")) : null, pairs);
  }

  flag(name, shape, props) {
    return h("input", { ...props, type: "checkbox", checked: Boolean(this.current(name)), onChange: (event) => this.set(name, event.target.checked) });
  }

  number(name, shape, props) {
    const step = shape.integer ? 1 : "any";
    return h("input", { ...props, type: "number", inputmode: shape.integer ? "numeric" : "decimal", step, min: shape.min, max: shape.max, value: this.current(name) ?? "", placeholder: t("default_choice"), onInput: (event) => this.set(name, event.target.value === "" || Number.isNaN(event.target.valueAsNumber) ? null : event.target.valueAsNumber) });
  }

  text(name, shape, props) {
    const value = String(this.current(name) ?? "");
    const onInput = (event) => this.set(name, event.target.value);
    const placeholder = word(`hint_${this.task}_${name}`, "");
    if (!(this.about.wide || []).includes(name) || name === "question") return h("input", { ...props, type: "text", value, maxlength: shape.maxLength, autocomplete: "off", placeholder, onInput });
    const area = h("textarea", { ...props, rows: "2", maxlength: shape.maxLength, placeholder, onInput });
    area.value = value;
    return area;
  }

  checks(name, shape, props) {
    const chosen = new Set(this.current(name) || []);
    const toggle = (value, on) => {
      if (on) chosen.add(value);
      else chosen.delete(value);
      this.set(name, shape.values.filter((one) => chosen.has(one)));
    };
    return h("div", { id: props.id, class: "chips", role: "group", "aria-labelledby": `${props.id}-label` }, shape.values.map((value) => {
      const button = h("button", { type: "button", class: "chip", "aria-pressed": String(chosen.has(value)) }, labelName(value));
      button.addEventListener("click", () => {
        button.setAttribute("aria-pressed", String(!chosen.has(value)));
        toggle(value, !chosen.has(value));
      });
      return button;
    }));
  }

  /** Words as chips: Enter or a comma adds one, Backspace in the empty field takes the last one back. */
  list(name, shape, props) {
    const box = h("div", { class: "chips chips--input" });
    const input = h("input", { ...props, type: "text", class: "chips__field", autocomplete: "off", placeholder: t("add_with_enter") });
    const items = [...(this.current(name) || [])];
    const draw = () => {
      const chips = items.map((item, index) => h("span", { class: "chip chip--set" }, item, h("button", { type: "button", class: "chip__remove", "aria-label": t("remove_item", { name: item }), onClick: () => { items.splice(index, 1); done(); } }, icon("x", "icon--sm"))));
      replace(box, chips, input);
    };
    const done = () => {
      this.set(name, [...items]);
      const active = document.activeElement === input || box.contains(document.activeElement);
      draw();
      if (active) input.focus();
    };
    const add = () => {
      const fresh = input.value.split(/[,，\n]/).map((part) => part.trim()).filter((part) => part && !items.includes(part));
      input.value = "";
      if (!fresh.length) return;
      items.push(...fresh.slice(0, Math.max(0, (shape.maxItems ?? 200) - items.length)));
      done();
    };
    input.addEventListener("keydown", (event) => {
      if (event.isComposing) return;
      if ((event.key === "Enter" && !event.ctrlKey && !event.metaKey) || event.key === "," || event.key === "，") {
        event.preventDefault();
        add();
      } else if (event.key === "Backspace" && !input.value && items.length) {
        items.pop();
        done();
      }
    });
    input.addEventListener("blur", add);
    box.addEventListener("click", (event) => { if (event.target === box) input.focus(); });
    draw();
    return box;
  }

  /** A number from 0 to 1 for each name; an empty one is the default. */
  shares(name, shape, props) {
    const values = { ...(this.current(name) || {}) };
    const change = (one, input) => {
      if (input.value === "" || Number.isNaN(input.valueAsNumber)) delete values[one];
      else values[one] = input.valueAsNumber;
      this.set(name, Object.keys(values).length ? { ...values } : null);
    };
    return h("div", { id: props.id, class: "options__grid", role: "group", "aria-labelledby": `${props.id}-label` }, shape.values.map((one) => h("div", { class: "options__share" }, h("label", { for: `${props.id}-${one}` }, labelName(one)), h("input", { id: `${props.id}-${one}`, type: "number", min: "0", max: "1", step: "0.05", value: values[one] ?? "", placeholder: t("default_choice"), onInput: (event) => change(one, event.target) }))));
  }

  /** Lines of "name = value". */
  map(name, shape, props) {
    const area = h("textarea", { ...props, rows: "2", spellcheck: "false", placeholder: word(`hint_${name}`, t("map_hint")), onInput: () => {
      const pairs = area.value.split("\n").map((line) => line.split("=")).filter((parts) => parts.length > 1 && parts[0].trim());
      this.set(name, pairs.length ? Object.fromEntries(pairs.map(([key, ...value]) => [key.trim(), value.join("=").trim()])) : null);
    } });
    area.value = Object.entries(this.current(name) || {}).map(([key, value]) => `${key} = ${value}`).join("\n");
    return area;
  }

  json(name, shape, props) {
    const area = h("textarea", { ...props, rows: "2", spellcheck: "false", class: "options__json", placeholder: word(`hint_${name}`, "{ }"), onInput: () => {
      try {
        this.set(name, area.value.trim() ? JSON.parse(area.value) : null);
        area.removeAttribute("aria-invalid");
      } catch {
        area.setAttribute("aria-invalid", "true");
      }
    } });
    area.value = empty(this.current(name)) || same(this.current(name), {}) ? "" : JSON.stringify(this.current(name));
    return area;
  }
}
