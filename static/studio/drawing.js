// Small pictures that several tasks share: bars, figures, a gauge, marked text. Colour never stands alone: labels,
// signs and patterns say the same.

import { h, icon, iconButton } from "../js/lib/dom.js";
import { t } from "../js/lib/i18n.js";
import { toast } from "../js/lib/toast.js";
import { labelName, number, percent, signed } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
const KINDS = 6;

export function s(tag, attributes, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
}

/** Sets custom properties from script: the content policy forbids style attributes. */
export function vary(element, properties) {
  for (const [name, value] of Object.entries(properties)) element.style.setProperty(`--${name}`, String(value));
  return element;
}

/**
 * Horizontal bars that start at zero. `rows`: [{label, value, text?, top?, tone?, threshold?, note?}]; `max` is the end
 * of the scale.
 */
export function bars(rows, { max = 1, name = "" } = {}) {
  return h("ul", { class: "bars", "aria-label": name || null }, rows.map((row) => {
    const track = vary(h("span", { class: "bars__track" }, h("span", { class: "bars__fill" })), { value: Math.max(0, Math.min(1, row.value / max)) });
    if (row.threshold !== undefined) track.append(vary(h("span", { class: "bars__mark", title: t("threshold_at", { value: percent(row.threshold) }) }), { at: Math.min(1, row.threshold / max) }));
    return h("li", { class: `bars__row ${row.top ? "bars__row--top" : ""}`, dataset: { tone: row.tone || "" } },
      h("span", { class: "bars__label", title: row.label }, row.top ? icon("check", "icon--sm") : null, h("span", { class: "truncate" }, row.label)),
      track,
      h("span", { class: "bars__value" }, row.text ?? percent(row.value, 1)));
  }));
}

/** A headline figure with what it is. */
export function figure(value, label, tone = "") {
  return h("div", { class: "figure", dataset: { tone } }, h("span", { class: "figure__value" }, value), h("span", { class: "figure__label" }, label));
}

export function figures(...items) {
  return h("div", { class: "figures" }, items.filter(Boolean).map(([value, label, tone]) => figure(value, label, tone)));
}

/** A half circle from -1 to 1 with a needle. */
export function gauge(score, label, tone) {
  const at = (value, radius) => {
    const angle = Math.PI * (1 - (value + 1) / 2);
    return [(110 + radius * Math.cos(angle)).toFixed(2), (112 - radius * Math.sin(angle)).toFixed(2)];
  };
  const arc = (from, to, name) => s("path", { class: `gauge__arc gauge__arc--${name}`, d: `M${at(from, 90).join(" ")}A90 90 0 0 1 ${at(to, 90).join(" ")}` });
  const [x, y] = at(Math.max(-1, Math.min(1, score)), 74);
  const picture = s("svg", { class: "gauge__svg", viewBox: "0 0 220 132", role: "img", "aria-label": t("gauge_summary", { label, score: signed(score) }) },
    arc(-1, -0.35, "negative"), arc(-0.31, 0.31, "neutral"), arc(0.35, 1, "positive"),
    s("line", { class: "gauge__needle", x1: 110, y1: 112, x2: x, y2: y }), s("circle", { class: "gauge__hub", cx: 110, cy: 112, r: 7 }),
    s("text", { class: "gauge__tick", x: 20, y: 130, "text-anchor": "middle" }, "−1"), s("text", { class: "gauge__tick", x: 110, y: 14, "text-anchor": "middle" }, "0"), s("text", { class: "gauge__tick", x: 200, y: 130, "text-anchor": "middle" }, "+1"));
  return h("div", { class: "gauge", dataset: { tone } }, picture, h("div", { class: "gauge__words" }, h("span", { class: "gauge__label" }, label), h("span", { class: "gauge__score" }, signed(score))));
}

/** A number 0..5 for a kind of span, the same in text and legend. */
export function kindHue(kinds, kind) {
  return Math.max(0, kinds.indexOf(kind)) % KINDS;
}

/**
 * Text with marked parts. `spans`: [{start, end, ...}] in code points; `mark(span, text)` makes the element. Spans that
 * begin inside another are left to the table.
 */
export function markedText(text, spans, mark, props = {}) {
  const points = [...text];
  const element = h("div", { class: "marked", dir: "auto", tabindex: "0", role: "region", ...props });
  let at = 0;
  for (const span of [...spans].sort((a, b) => a.start - b.start || b.end - a.end)) {
    if (span.start < at || span.end <= span.start || span.end > points.length) continue;
    element.append(points.slice(at, span.start).join(""), mark(span, points.slice(span.start, span.end).join("")));
    at = span.end;
  }
  element.append(points.slice(at).join(""));
  return element;
}

/** A marked part that carries its kind as a small label. */
export function kindMark(kinds) {
  return (span, text) => h("mark", { class: "span", dataset: { hue: kindHue(kinds, span.type) }, title: span.score === undefined ? labelName(span.type) : `${labelName(span.type)} · ${percent(span.score, 1)}` }, text, h("span", { class: "span__kind" }, labelName(span.type)));
}

/** The kinds that occur, with how often. */
export function kindLegend(kinds, spans) {
  return h("ul", { class: "legend", "aria-label": t("legend") }, kinds.map((kind) => h("li", { class: "legend__item", dataset: { hue: kindHue(kinds, kind) } }, h("span", { class: "legend__swatch" }), labelName(kind), h("span", { class: "faint" }, number(spans.filter((span) => span.type === kind).length)))));
}

/** Tokens coloured by how much they spoke for the label (solid) or against it (dashed). */
export function tokenText(text, tokens, name) {
  const most = Math.max(1e-9, ...tokens.map((token) => Math.abs(token.weight)));
  return markedText(text, tokens.filter((token) => Math.abs(token.weight) / most >= 0.02), (token, part) => vary(
    h("span", { class: `token token--${token.weight >= 0 ? "for" : "against"}`, title: signed(token.weight, 3) }, part),
    { weight: (Math.abs(token.weight) / most).toFixed(3) }), { "aria-label": name });
}

export function tokenLegend(label) {
  return h("p", { class: "legend small" },
    h("span", { class: "legend__item" }, h("span", { class: "token token--for legend__token" }, "abc"), t("speaks_for", { label })),
    h("span", { class: "legend__item" }, h("span", { class: "token token--against legend__token" }, "abc"), t("speaks_against", { label })));
}

/** A pane of text beside another, with its title and a button that copies it. */
export function pane(title, text, { badge = null, lang = null, children = null } = {}) {
  return h("section", { class: "pane", "aria-label": title },
    h("header", { class: "pane__head" }, h("span", { class: "pane__title" }, title), badge, h("span", { class: "grow" }), text === null ? null : copyButton(() => text)),
    h("div", { class: "pane__body", dir: "auto", lang: lang && lang !== "und" ? lang : null }, children ?? text));
}

export function copyButton(text, label = t("copy")) {
  const button = iconButton("copy", label, { class: "btn btn--ghost btn--icon btn--sm" });
  button.addEventListener("click", async () => {
    if (await copyText(text())) toast(t("copied"));
    else toast(t("copy_failed"), { danger: true, closeLabel: t("close") });
  });
  return button;
}

/** Puts text on the clipboard. `navigator.clipboard` is missing on plain-http pages other than localhost. */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = h("textarea", { class: "sr-only", readonly: true });
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

/** `columns`: [{label, num?, keep?}]; `num` aligns figures, `keep` leaves short values on one line. The first cell names its row. */
export function table(columns, rows, name) {
  const look = ({ num, keep }) => (num ? "num" : keep ? "keep" : null);
  return h("div", { class: "table-wrap", tabindex: "0", role: "region", "aria-label": name },
    h("table", { class: "table table--dense" }, h("caption", { class: "sr-only" }, name),
      h("thead", null, h("tr", null, columns.map((column) => h("th", { scope: "col", class: look(column) }, column.label)))),
      h("tbody", null, rows.map((row) => h("tr", null, row.map((cell, index) => h(index ? "td" : "th", { scope: index ? null : "row", class: look(columns[index]), dir: columns[index].num ? null : "auto" }, cell)))))));
}
