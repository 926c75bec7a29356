// Charts whose bars are links: a click shows the texts behind the bar. Each has its figures as a table behind a button,
// and goes out as SVG, PNG or CSV. Bars begin at zero; names stand beside them, so that colour never stands alone.

import { h, replace } from "../../js/lib/dom.js";
import { t } from "../../js/lib/i18n.js";
import { s } from "../drawing.js";
import { number, percent, signed } from "../words.js";
import { pointName } from "./names.js";

const NAME_WIDTH = 128;
const VALUE_WIDTH = 64;
const BAR = 20;
const GAP = 8;
const TREND = { height: 200, top: 8, bottom: 24, left: 48, right: 8 };
const KINDS = 6;
const FIXED = { positive: 3, neutral: 6, negative: 2, ok: 3, "~error": "error", "~other": 6, "~none": 6 };

/** A class of colour for each label: fixed where colour has a meaning, then by order. */
export function labelClasses(labels) {
  let next = 0;
  return new Map(labels.map((name) => [name, FIXED[name] ?? (next++ % (KINDS - 1)) + 1]));
}

/** The next round number of which the half is one too. */
function niceTop(value) {
  const power = 10 ** Math.max(0, Math.floor(Math.log10(Math.max(value, 1))));
  const steps = power > 1 ? [1, 1.2, 1.6, 2, 3, 4, 5, 6, 8, 10] : [2, 4, 6, 8, 10];
  return steps.map((step) => Math.round(step * power)).find((step) => step >= value);
}

class Chart {
  /** `bars`: [{name, label, rows, mean_score, parts: [[label, n]], selected, href}]; `follow(href)` opens a bar's texts. */
  constructor({ id, title, follow, legend }) {
    Object.assign(this, { id, title, follow, legend, bars: [] });
    this.table = h("div", { class: "bchart__table", hidden: true, tabindex: "0", role: "region", "aria-label": t("table_of", { title }) });
    this.svg = s("svg", { class: "bchart__svg", role: "group", "data-chart": id });
    this.note = h("p", { class: "small muted", hidden: true });
    this.keys = h("ul", { class: "bchart__legend small", "aria-hidden": "true" });
    this.button = h("button", { type: "button", class: "btn btn--ghost btn--sm", "aria-pressed": "false", "aria-label": t("table_of", { title }), onClick: () => this.tableToggle() }, t("table"));
    const save = (kind, run) => h("button", { type: "button", class: "btn btn--ghost btn--sm", "aria-label": t(`as_${kind}`, { title }), onClick: run }, kind.toUpperCase());
    this.tools = h("div", { class: "bchart__tools" }, this.button, save("svg", () => this.svgSave()), save("png", () => this.pngSave()), save("csv", () => this.csvSave()));
    this.element = h("section", { class: `card bchart bchart--${id}`, "aria-labelledby": `chart-${id}` }, h("div", { class: "bchart__head" }, h("h2", { class: "bchart__title", id: `chart-${id}` }, title), this.tools), this.svg, this.table, this.keys, this.note);
    new ResizeObserver(() => this.draw()).observe(this.element);
  }

  update({ bars, note = "", classes, unit = "", task = "" }) {
    Object.assign(this, { bars, classes, unit, task });
    this.note.textContent = note;
    this.note.hidden = !note;
    this.draw();
  }

  draw() {
    const width = Math.floor(this.svg.clientWidth || this.element.clientWidth - 32);
    if (width <= 0) return;
    const focused = this.svg.contains(document.activeElement) ? document.activeElement.dataset.name : null;
    this.total = this.bars.reduce((sum, bar) => sum + bar.rows, 0);
    const values = this.bars.slice(0, 6).map((bar) => `${bar.label} ${number(bar.rows)}`).join(", ");
    this.svg.setAttribute("aria-label", t("chart_of", { title: this.title, values: values || t("chart_nothing") }));
    this.picture(width);
    if (focused !== null) [...this.svg.querySelectorAll("a")].find((a) => a.dataset.name === focused)?.focus();
    this.legendFill();
    if (!this.table.hidden) this.tableFill();
  }

  size(width, height) {
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.svg.setAttribute("height", String(height));
  }

  legendFill() {
    const labels = this.legend ? [...new Set(this.bars.flatMap((bar) => bar.parts.map(([name]) => name)))] : [];
    replace(this.keys, labels.length > 1 ? labels.slice(0, 8).map((name) => h("li", null, h("span", { class: `bchart__key bchart__bar--${this.classes.get(name) ?? 6}` }), this.legend(name))) : null);
  }

  /** A bar as a link that can be reached by key. */
  link(bar, description, ...children) {
    const a = s("a", { href: bar.href, class: `bchart__link ${bar.selected ? "bchart__link--on" : ""}`, "aria-label": description, ...(bar.selected ? { "aria-current": "true" } : {}), "data-name": bar.name }, s("title", {}, description), ...children);
    a.addEventListener("click", (event) => {
      if (event.metaKey || event.ctrlKey || event.shiftKey) return;
      event.preventDefault();
      this.follow(bar.href);
    });
    return a;
  }

  // -- the table and the ways out ----------------------------------------------------------------------------------------
  columns() {
    return [[t("col_name"), (bar) => bar.label], [t("col_rows"), (bar) => number(bar.rows)], [t("col_share"), (bar) => percent(this.total ? bar.rows / this.total : 0, 1)], [t("col_score"), (bar) => (bar.mean_score === null ? "–" : signed(bar.mean_score))]];
  }

  tableToggle() {
    const open = this.table.hidden;
    this.table.hidden = !open;
    this.svg.toggleAttribute("hidden", open);
    this.button.setAttribute("aria-pressed", String(open));
    if (open) this.tableFill();
    else this.draw();
  }

  tableFill() {
    const columns = this.columns();
    replace(this.table, h("table", { class: "table" }, h("caption", { class: "sr-only" }, this.title),
      h("thead", null, h("tr", null, columns.map(([name], at) => h("th", { scope: "col", class: at ? "num" : null }, name)))),
      h("tbody", null, this.bars.map((bar) => h("tr", null, columns.map(([, get], at) => (at ? h("td", { class: "num" }, get(bar)) : h("th", { scope: "row" }, h("a", { href: bar.href, onClick: (event) => { event.preventDefault(); this.follow(bar.href); } }, get(bar))))))))));
  }

  csvSave() {
    const quote = (cell) => `"${String(cell).replace(/^[=+\-@]/, "'$&").replaceAll('"', '""')}"`;
    const labels = [...new Set(this.bars.flatMap((bar) => bar.parts.map(([name]) => name)))];
    const rows = this.bars.map((bar) => [quote(bar.label), bar.rows, bar.mean_score ?? "", ...labels.map((name) => new Map(bar.parts).get(name) || 0)]);
    const head = [t("col_name"), t("col_rows"), t("col_score"), ...(this.legend ? labels.map((name) => this.legend(name)) : [])].map(quote);
    const text = [head, ...rows.map((row) => (this.legend ? row : row.slice(0, 3)))].map((row) => row.join(",")).join("\r\n");
    save(`data:text/csv;charset=utf-8,${encodeURIComponent(text)}`, `${this.id}.csv`);
  }

  /** The picture by itself: colours and fonts written into it, on the page's background. */
  standalone() {
    const copy = this.svg.cloneNode(true);
    const [, , width, height] = this.svg.getAttribute("viewBox").split(" ").map(Number);
    const from = [...this.svg.querySelectorAll("*")];
    [...copy.querySelectorAll("*")].forEach((element, at) => {
      const style = getComputedStyle(from[at]);
      for (const name of ["fill", "stroke", "font-size", "font-family", "text-anchor", "opacity"]) element.setAttribute(name, style.getPropertyValue(name));
      for (const name of ["href", "class"]) element.removeAttribute(name);
    });
    for (const [name, value] of Object.entries({ xmlns: "http://www.w3.org/2000/svg", width, height })) copy.setAttribute(name, String(value));
    copy.removeAttribute("hidden");
    copy.prepend(s("rect", { width, height, fill: getComputedStyle(this.element).backgroundColor }));
    return { source: `data:image/svg+xml;charset=utf-8,${encodeURIComponent(new XMLSerializer().serializeToString(copy))}`, width, height };
  }

  svgSave() {
    this.pictureShow();
    save(this.standalone().source, `${this.id}.svg`);
  }

  pngSave() {
    this.pictureShow();
    const { source, width, height } = this.standalone();
    const image = new Image();
    image.addEventListener("load", () => {
      const canvas = document.createElement("canvas");
      canvas.width = width * 2;
      canvas.height = height * 2;
      canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
      save(canvas.toDataURL("image/png"), `${this.id}.png`);
    });
    image.src = source;
  }

  pictureShow() {
    if (!this.table.hidden) this.tableToggle();
  }
}

function save(href, name) {
  const link = h("a", { href, download: name });
  document.body.append(link);
  link.click();
  link.remove();
}

/** Bars from left to right, one below the other, each cut into its labels. */
export class BarChart extends Chart {
  picture(width) {
    const names = Math.min(NAME_WIDTH * 1.4, Math.max(88, width * 0.3));
    const room = Math.max(20, width - names - VALUE_WIDTH);
    const top = Math.max(1, ...this.bars.map((bar) => bar.rows));
    this.size(width, Math.max(BAR, this.bars.length * (BAR + GAP) - GAP));
    this.svg.replaceChildren(...this.bars.map((bar, at) => {
      const y = at * (BAR + GAP);
      let x = names;
      const parts = (bar.parts.length ? bar.parts : [[bar.name, bar.rows]]).map(([name, n]) => {
        const long = (n / top) * room;
        const rect = s("rect", { class: `bchart__bar bchart__bar--${this.classes.get(name) ?? 1}`, x, y, width: Math.max(long, n ? 1 : 0), height: BAR });
        x += long;
        return rect;
      });
      const label = s("text", { class: "bchart__name", x: names - 8, y: y + 14, "text-anchor": "end" }, fit(bar.label, names - 12));
      const value = s("text", { class: "bchart__value", x: x + 6, y: y + 14 }, number(bar.rows));
      const description = t("bar_of", { name: bar.label, n: number(bar.rows), share: percent(this.total ? bar.rows / this.total : 0, 1) });
      return this.link(bar, description, s("rect", { class: "bchart__hit", x: 0, y: y - GAP / 2, width, height: BAR + GAP }), label, ...parts, value);
    }));
  }
}

/** Columns over time, each cut into its labels. */
export class TrendChart extends Chart {
  columns() {
    return [[t("col_from"), (bar) => bar.label], ...super.columns().slice(1)];
  }

  picture(width) {
    const { height, top, bottom, left, right } = TREND;
    this.size(width, height);
    const highest = niceTop(Math.max(1, ...this.bars.map((bar) => bar.rows)));
    const floor = height - bottom;
    const y = (n) => (n / highest) * (floor - top);
    const step = (width - left - right) / Math.max(1, this.bars.length);
    const thick = Math.max(1, Math.min(40, step * 0.8));
    const grid = [0, highest / 2, highest].flatMap((n) => [s("line", { class: "bchart__grid", x1: left, x2: width - right, y1: floor - y(n), y2: floor - y(n) }), s("text", { class: "bchart__tick", x: left - 6, y: floor - y(n) + 4, "text-anchor": "end" }, number(n))]);
    const every = Math.max(1, Math.ceil(64 / step));
    const columns = this.bars.map((bar, at) => {
      const x = left + at * step + (step - thick) / 2;
      let base = floor;
      const parts = (bar.parts.length ? bar.parts : [[bar.name, bar.rows]]).map(([name, n]) => {
        base -= y(n);
        return s("rect", { class: `bchart__bar bchart__bar--${this.classes.get(name) ?? 1}`, x, y: base, width: thick, height: y(n) });
      });
      const tick = at % every === 0 ? [s("text", { class: "bchart__tick", x: x + thick / 2, y: height - 6, "text-anchor": "middle" }, pointName(bar.from, this.unit))] : [];
      const description = t("trend_bar", { from: bar.label, n: number(bar.rows) });
      return this.link(bar, description, s("rect", { class: "bchart__hit", x: left + at * step, y: top, width: step, height: floor - top }), ...parts, ...tick);
    });
    this.svg.replaceChildren(...grid, ...columns);
  }
}

function fit(text, width) {
  const most = Math.floor(width / 6.4);
  return text.length > most ? `${text.slice(0, Math.max(1, most - 1))}…` : text;
}

export function chartSkeleton() {
  return h("div", { class: "card bchart" }, h("span", { class: "skeleton skeleton--half" }), h("span", { class: "skeleton bchart__skeleton" }));
}

