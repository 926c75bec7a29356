// A line chart of samples over time, in SVG, with a table of the same figures behind a button.

import { h, replace } from "../js/lib/dom.js";
import { languageNow, t } from "../js/lib/i18n.js";

const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 168;
const PAD = { top: 10, right: 12, bottom: 22, left: 44 };
const LABELS_WIDTH = 92;
const LABEL_HEIGHT = 15;
const TICK_WIDTH = 56;
const TABLE_EVERY_S = 10;
const LONGEST_GAP_S = 5;

function s(tag, attributes, text) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  if (text !== undefined) element.textContent = text;
  return element;
}

/** The next of 1, 2, 5 times a power of ten, so that the axis has round figures. */
export function niceTop(value, least) {
  const wanted = Math.max(value, least);
  const power = 10 ** Math.floor(Math.log10(wanted));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= wanted * 0.999);
}

export function clock(at) {
  return new Intl.DateTimeFormat(languageNow(), { hour: "numeric", minute: "2-digit", second: "2-digit" }).format(new Date(at * 1000));
}

/**
 * `lines`: [{label, get(sample) -> number or null}]; `format(number)` for labels; `least`: the smallest top of the axis.
 * Arrow keys move the reading line when the picture has the focus.
 */
export class LineChart {
  constructor({ title, lines, format, least }) {
    Object.assign(this, { title, lines, format, least, samples: [], windowS: 300, cursor: null });
    const id = `chart-${++LineChart.count}`;
    this.heading = h("h2", { class: "ops__title", id }, title);
    this.button = h("button", { type: "button", class: "btn btn--ghost btn--sm", "aria-pressed": "false", "aria-label": t("table_of", { title }), onClick: () => this.tableToggle() }, t("table"));
    this.reading = h("p", { class: "ops__reading small" });
    this.svg = s("svg", { class: "ops__svg", role: "img", tabindex: "0" });
    this.table = h("div", { class: "ops__table", hidden: true, tabindex: "0", role: "region", "aria-labelledby": id });
    this.element = h("section", { class: "card ops__card", "aria-labelledby": id }, h("div", { class: "ops__card-head" }, this.heading, this.button), this.svg, this.table, this.reading);
    this.svg.addEventListener("pointermove", (event) => this.pointAt(event));
    this.svg.addEventListener("pointerleave", () => this.cursorSet(null));
    this.svg.addEventListener("blur", () => this.cursorSet(null));
    this.svg.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.draw()).observe(this.element);
  }

  update(samples, windowS) {
    const at = this.cursor === null ? null : this.samples[this.cursor]?.at;
    this.samples = samples;
    this.windowS = windowS;
    const index = at === null ? -1 : samples.findIndex((sample) => sample.at === at);
    this.cursor = index < 0 ? null : index;
    this.draw();
  }

  tableToggle() {
    const open = this.table.hidden;
    this.table.hidden = !open;
    this.svg.toggleAttribute("hidden", open);
    this.button.setAttribute("aria-pressed", String(open));
    this.draw();
  }

  draw() {
    this.svg.setAttribute("aria-label", this.summary());
    if (!this.table.hidden) this.tableFill();
    else this.picture();
    this.readingFill();
  }

  summary() {
    const last = this.samples[this.samples.length - 1];
    const values = this.lines.map((line) => `${line.label} ${this.value(last, line)}`).join(", ");
    return t("chart_summary", { title: this.title, values: last ? values : t("chart_nothing") });
  }

  value(sample, line) {
    const value = sample ? line.get(sample) : null;
    return value === null || value === undefined ? t("none") : this.format(value);
  }

  // -- the picture -----------------------------------------------------------------------------------------------------
  picture() {
    const width = Math.max(240, this.svg.clientWidth || this.element.clientWidth - 32);
    const last = this.samples[this.samples.length - 1];
    const right = this.lines.length > 1 ? LABELS_WIDTH : PAD.right;
    this.area = { left: PAD.left, right: width - right, top: PAD.top, bottom: HEIGHT - PAD.bottom };
    this.end = last ? last.at : Date.now() / 1000;
    const values = this.samples.flatMap((sample) => this.lines.map((line) => line.get(sample) ?? 0));
    this.top = niceTop(Math.max(0, ...values), this.least);
    this.svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    this.svg.replaceChildren(...this.axes(), ...this.lines.flatMap((line, index) => this.line(line, index)), ...this.labels());
    this.cursorDraw();
  }

  x(at) {
    return this.area.right - ((this.end - at) / this.windowS) * (this.area.right - this.area.left);
  }

  y(value) {
    return this.area.bottom - (Math.min(value, this.top) / this.top) * (this.area.bottom - this.area.top);
  }

  axes() {
    const { left, right, bottom } = this.area;
    const parts = [];
    for (const value of [0, this.top / 2, this.top]) {
      parts.push(s("line", { class: "ops__grid", x1: left, x2: right, y1: this.y(value), y2: this.y(value) }));
      parts.push(s("text", { class: "ops__tick", x: left - 6, y: this.y(value) + 4, "text-anchor": "end" }, this.format(value)));
    }
    const minutes = Math.round(this.windowS / 60);
    for (const minute of [0, 1, 3, 5].filter((n) => n <= minutes)) {
      const x = this.x(this.end - minute * 60);
      if (minute && right - x < TICK_WIDTH) continue;
      const anchor = minute === 0 ? "end" : minute === minutes ? "start" : "middle";
      parts.push(s("text", { class: "ops__tick", x, y: bottom + 16, "text-anchor": anchor }, minute ? t("axis_minutes", { n: minute }) : t("axis_now")));
    }
    return parts;
  }

  line(line, index) {
    const runs = [];
    let before = null;
    for (const sample of this.samples) {
      const value = line.get(sample);
      if (value === null || value === undefined) continue;
      if (before === null || sample.at - before > LONGEST_GAP_S) runs.push([]);
      runs[runs.length - 1].push([this.x(sample.at).toFixed(1), this.y(value).toFixed(1)]);
      before = sample.at;
    }
    const name = `ops__line ops__line--${index + 1}`;
    const path = runs.filter((run) => run.length > 1).map((run) => `M${run.map((point) => point.join(" ")).join("L")}`).join("");
    const alone = runs.filter((run) => run.length === 1).map(([[x, y]]) => s("circle", { class: name, cx: x, cy: y, r: 1.5 }));
    return path ? [s("path", { class: name, d: path }), ...alone] : alone;
  }

  /** Names at the ends of their lines, pushed apart where lines end close together. */
  labels() {
    const last = this.samples[this.samples.length - 1];
    if (!last || this.lines.length < 2) return [];
    const labels = this.lines.map((line, index) => {
      const value = line.get(last);
      return { line, index, y: this.y(value ?? 0) };
    });
    labels.sort((a, b) => b.y - a.y);
    let free = this.area.bottom;
    for (const label of labels) {
      label.y = Math.min(label.y, free);
      free = label.y - LABEL_HEIGHT;
    }
    const lift = Math.max(0, this.area.top - labels[labels.length - 1].y);
    return labels.flatMap(({ line, index, y }) => [
      s("line", { class: `ops__line ops__line--${index + 1}`, x1: this.area.right + 4, x2: this.area.right + 16, y1: y + lift, y2: y + lift }),
      s("text", { class: "ops__label", x: this.area.right + 20, y: y + lift + 4 }, line.label),
    ]);
  }

  // -- reading single figures ------------------------------------------------------------------------------------------
  pointAt(event) {
    if (!this.samples.length || !this.area) return;
    const box = this.svg.getBoundingClientRect();
    const at = this.end - ((this.area.right - (event.clientX - box.left)) / (this.area.right - this.area.left)) * this.windowS;
    let best = 0;
    for (let index = 1; index < this.samples.length; index += 1) {
      if (Math.abs(this.samples[index].at - at) < Math.abs(this.samples[best].at - at)) best = index;
    }
    this.cursorSet(best);
  }

  key(event) {
    const count = this.samples.length;
    const from = this.cursor ?? count - 1;
    const to = { ArrowLeft: from - 1, ArrowRight: from + 1, Home: 0, End: count - 1 }[event.key];
    if (event.key === "Escape") this.cursorSet(null);
    if (to === undefined || !count) return;
    event.preventDefault();
    this.cursorSet(Math.min(count - 1, Math.max(0, to)));
  }

  cursorSet(index) {
    this.cursor = index;
    if (this.area) this.cursorDraw();
    this.readingFill();
  }

  cursorDraw() {
    this.svg.querySelector(".ops__cursor")?.remove();
    const sample = this.cursor === null ? null : this.samples[this.cursor];
    if (!sample) return;
    const x = this.x(sample.at);
    this.svg.append(s("line", { class: "ops__cursor", x1: x, x2: x, y1: this.area.top, y2: this.area.bottom }));
  }

  /** What the reading line is at, or the newest figures. Only the former is for reading out: the latter never rests. */
  readingFill() {
    const sample = this.cursor === null ? this.samples[this.samples.length - 1] : this.samples[this.cursor];
    this.reading.setAttribute("aria-live", this.cursor === null ? "off" : "polite");
    const values = sample ? this.lines.map((line) => `${line.label} ${this.value(sample, line)}`) : [];
    this.reading.textContent = sample ? [this.cursor === null ? t("axis_now") : clock(sample.at), ...values].join(" · ") : "";
  }

  // -- the table -------------------------------------------------------------------------------------------------------
  tableFill() {
    const rows = this.samples.filter((sample) => sample.at % TABLE_EVERY_S === 0).reverse();
    replace(
      this.table,
      h("table", { class: "table" },
        h("caption", { class: "sr-only" }, this.title),
        h("thead", null, h("tr", null, h("th", { scope: "col" }, t("time")), this.lines.map((line) => h("th", { scope: "col", class: "num" }, line.label)))),
        h("tbody", null, rows.map((sample) => h("tr", null, h("th", { scope: "row" }, clock(sample.at)), this.lines.map((line) => h("td", { class: "num" }, this.value(sample, line))))))),
    );
  }
}
LineChart.count = 0;
