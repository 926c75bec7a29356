// What was found out about messages: moods, languages, and the mood of a conversation as a picture with its table.

import { h, icon, replace } from "../js/lib/dom.js";
import { languageNow, t } from "../js/lib/i18n.js";
import { exactTime } from "../js/lib/time.js";

const SVG = "http://www.w3.org/2000/svg";
// The face says it without the colour.
const FACES = { negative: "frown", neutral: "meh", positive: "smile" };
const WIDTH = 240;
const HEIGHT = 72;
const EDGE = 8;

/** A face in the colour of the mood. Its name is read aloud; with `named` it is shown, too. */
export function moodMark(mood, { named = false } = {}) {
  if (!mood || !FACES[mood.label]) return null;
  const name = t(`mood_${mood.label}`);
  return h("span", { class: `mood mood--${mood.label}`, title: t("mood_is", { mood: name }) }, icon(FACES[mood.label], "icon--sm"), h("span", { class: named ? "" : "sr-only" }, name));
}

export function languageName(code) {
  try {
    return new Intl.DisplayNames([languageNow()], { type: "language" }).of(code) || code;
  } catch {
    return code;
  }
}

/** The code of a language, with its name for who hovers or listens. */
export function languageMark(code) {
  if (!code) return null;
  const name = languageName(code);
  return h("span", { class: "lang", title: name }, h("span", { "aria-hidden": "true" }, code.toUpperCase()), h("span", { class: "sr-only" }, t("language_is", { language: name })));
}

export function sameLanguage(a, b) {
  return Boolean(a) && Boolean(b) && a.toLowerCase().split("-")[0] === b.toLowerCase().split("-")[0];
}

/** The contact's messages that have a mood, oldest first. */
export function moodPoints(messages) {
  return messages.filter((message) => message.role === "contact" && message.sentiment).map((message) => ({ at: message.created_at, label: message.sentiment.label, score: message.sentiment.score }));
}

/** Mood over time: a line from -1 (below) to 1 (above), and the same figures as a table behind a button. */
export class MoodChart {
  constructor() {
    this.tableShown = false;
    this.button = h("button", { class: "btn btn--ghost btn--sm", type: "button", "aria-pressed": "false", onClick: () => this.toggle() }, t("table"));
    this.body = h("div", null);
    this.element = h("section", { class: "aside__section", id: "aside-mood" }, h("div", { class: "row" }, h("h3", { class: "panel-title grow" }, t("mood_over_time")), this.button), this.body);
    this.draw([]);
  }

  toggle() {
    this.tableShown = !this.tableShown;
    this.button.setAttribute("aria-pressed", String(this.tableShown));
    this.draw(this.points);
  }

  draw(points) {
    this.points = points;
    this.button.hidden = !points.length;
    if (!points.length) replace(this.body, h("p", { class: "muted small" }, t("mood_none")));
    else replace(this.body, this.tableShown ? table(points) : picture(points));
  }
}

function picture(points) {
  const x = (index) => (points.length > 1 ? EDGE + (index / (points.length - 1)) * (WIDTH - 2 * EDGE) : WIDTH / 2);
  const y = (score) => HEIGHT / 2 - score * (HEIGHT / 2 - EDGE);
  const last = points.at(-1);
  const svg = s("svg", { class: "moods", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": t("mood_summary", { count: points.length, mood: t(`mood_${last.label}`) }) });
  svg.append(s("line", { class: "moods__zero", x1: 0, x2: WIDTH, y1: HEIGHT / 2, y2: HEIGHT / 2 }));
  if (points.length > 1) svg.append(s("polyline", { class: "moods__line", points: points.map((point, index) => `${x(index)},${y(point.score)}`).join(" ") }));
  points.forEach((point, index) => svg.append(dot(point, x(index), y(point.score))));
  return h("div", { class: "moods__frame" }, h("span", { class: "moods__end", "aria-hidden": "true" }, icon(FACES.positive, "icon--sm")), svg, h("span", { class: "moods__end moods__end--low", "aria-hidden": "true" }, icon(FACES.negative, "icon--sm")));
}

/** The shape tells the mood, too: a triangle up, a triangle down, a circle. */
function dot(point, x, y) {
  const title = s("title", {});
  title.textContent = `${exactTime(point.at)}: ${t(`mood_${point.label}`)}`;
  const up = point.label === "positive" ? -1 : 1;
  const shape = point.label === "neutral" ? s("circle", { cx: x, cy: y, r: 3.5 }) : s("path", { d: `M${x - 4.5} ${y - 3.5 * up}h9l-4.5 ${7.5 * up}z` });
  shape.setAttribute("class", `moods__dot moods__dot--${point.label}`);
  shape.append(title);
  return shape;
}

function table(points) {
  const number = new Intl.NumberFormat(languageNow(), { minimumFractionDigits: 2, maximumFractionDigits: 2, signDisplay: "exceptZero" });
  return h("div", { class: "moods__table", tabindex: "0", role: "region", "aria-label": t("mood_over_time") },
    h("table", { class: "table small" },
      h("thead", null, h("tr", null, h("th", { scope: "col" }, t("mood_when")), h("th", { scope: "col" }, t("mood")), h("th", { scope: "col" }, t("mood_score")))),
      h("tbody", null, points.map((point) => h("tr", null, h("td", { title: exactTime(point.at) }, shortTime(point.at)), h("td", null, moodMark(point, { named: true })), h("td", null, number.format(point.score)))))));
}

function shortTime(at) {
  return new Intl.DateTimeFormat(languageNow(), { month: "numeric", day: "numeric", hour: "numeric", minute: "2-digit" }).format(new Date(at));
}

function s(tag, attributes) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  return element;
}
