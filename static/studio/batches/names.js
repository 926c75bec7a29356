// How states, numbers and bars are called.

import { icon, h } from "../../js/lib/dom.js";
import { languageNow, t } from "../../js/lib/i18n.js";
import { INTENTS, intentName } from "../../js/lib/intents.js";
import { labelName, languageName, number, word } from "../words.js";

const TONES = { done: "success", failed: "danger", cancelled: "", paused: "warning", running: "accent", reading: "accent", queued: "accent", draft: "" };
const ICONS = { done: "check", failed: "alert", paused: "note", cancelled: "x", running: "activity", reading: "file", queued: "clock", draft: "pencil" };
export const ACTIVE = ["queued", "reading", "running"];

export function statusBadge(status) {
  return h("span", { class: `badge ${TONES[status] ? `badge--${TONES[status]}` : ""}` }, icon(ICONS[status] || "dot"), t(`status_${status}`));
}

export function timeLeft(seconds) {
  if (seconds < 90) return t("left_s", { n: number(Math.max(1, Math.round(seconds))) });
  if (seconds < 5400) return t("left_min", { n: number(Math.round(seconds / 60)) });
  return t("left_h", { n: number(seconds / 3600, 1) });
}

/** What a bar of a batch stands for. `kind`: label, source or topic. */
export function barName(kind, name, { task, options = {} }) {
  if (name === "~error") return t("errors");
  if (name === "~other") return t("others");
  if (name === "~none") return t(`no_${kind}`);
  if (kind !== "label") return name;
  if (task === "language" || task === "translate") return languageName(name);
  if (task !== "classify") return labelName(name);
  // The labels of people are their own words; those that come with the product have names.
  const own = options.labels?.length || ![undefined, "", INTENTS].includes(options.classifier);
  return own ? name : intentName(name);
}

const FORMATS = {
  hour: { month: "short", day: "numeric", hour: "numeric" },
  day: { month: "short", day: "numeric" },
  week: { month: "short", day: "numeric" },
  month: { year: "numeric", month: "short" },
  year: { year: "numeric" },
};

export function pointName(from, unit, long = false) {
  const options = { ...FORMATS[unit], timeZone: "UTC" };
  if (long && unit !== "year" && unit !== "month") options.year = "numeric";
  return new Intl.DateTimeFormat(languageNow(), options).format(new Date(from));
}

/** What a refusal means for people. */
export function refusal(error) {
  return word(`error_${error.code}`, error.message || t("error_internal"));
}

export function alertBox(text, ...more) {
  return h("div", { class: "alert alert--danger" }, icon("alert"), h("span", { class: "grow" }, text), more);
}
