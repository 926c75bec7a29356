import { h } from "./dom.js";
import { languageNow, t } from "./i18n.js";

const UNITS = [["year", 31_536_000], ["month", 2_592_000], ["week", 604_800], ["day", 86_400], ["hour", 3600], ["minute", 60]];

export function relativeTime(value, { style = "narrow", now = Date.now() } = {}) {
  const seconds = (new Date(value).getTime() - now) / 1000;
  const format = new Intl.RelativeTimeFormat(languageNow(), { numeric: "auto", style });
  for (const [unit, size] of UNITS) {
    if (Math.abs(seconds) >= size) return format.format(Math.round(seconds / size), unit);
  }
  return t("just_now");
}

export function exactTime(value) {
  return new Intl.DateTimeFormat(languageNow(), { dateStyle: "medium", timeStyle: "short" }).format(new Date(value));
}

export function clockTime(value) {
  return new Intl.DateTimeFormat(languageNow(), { hour: "numeric", minute: "2-digit" }).format(new Date(value));
}

export function dayName(value) {
  const date = new Date(value);
  const midnight = (day) => new Date(day.getFullYear(), day.getMonth(), day.getDate()).getTime();
  const days = Math.round((midnight(date) - midnight(new Date())) / 86_400_000);
  if (days === 0 || days === -1) {
    const name = new Intl.RelativeTimeFormat(languageNow(), { numeric: "auto" }).format(days, "day");
    return name.charAt(0).toLocaleUpperCase(languageNow()) + name.slice(1);
  }
  return new Intl.DateTimeFormat(languageNow(), { dateStyle: "medium" }).format(date);
}

/** A <time> that shows how long ago, and the exact time on hover. `timesRefresh` keeps it true. */
export function timeElement(value, extraClass = "") {
  return h("time", { class: extraClass, datetime: value, title: exactTime(value), "data-relative": true }, relativeTime(value));
}

export function timesRefresh(root = document) {
  for (const element of root.querySelectorAll("time[data-relative]")) element.textContent = relativeTime(element.dateTime);
}
