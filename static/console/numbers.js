// Figures as people of the page's language read them.

import { languageNow } from "../js/lib/i18n.js";

function number(value, options) {
  return new Intl.NumberFormat(languageNow(), options).format(value);
}

export function count(value) {
  return value >= 100_000 ? number(value, { notation: "compact", maximumFractionDigits: 1 }) : number(value, { maximumFractionDigits: 0 });
}

export function rate(value) {
  return value < 10 ? number(value, { maximumFractionDigits: 1 }) : count(value);
}

export function milliseconds(seconds) {
  if (seconds >= 10) return `${number(seconds, { maximumFractionDigits: 0 })} s`;
  return seconds >= 1 ? `${number(seconds, { maximumFractionDigits: 1 })} s` : `${number(seconds * 1000, { maximumFractionDigits: 0 })} ms`;
}

export function megabytes(value) {
  return value >= 1024 ? `${number(value / 1024, { maximumFractionDigits: 1 })} GB` : `${number(value, { maximumFractionDigits: 0 })} MB`;
}

export function percent(share) {
  return number(share, { style: "percent", maximumFractionDigits: 0 });
}

/** A time of waiting in the largest unit that it fills. */
export function duration(seconds) {
  const [size, unit] = [[86_400, "day"], [3600, "hour"], [60, "minute"], [0, "second"]].find(([least]) => seconds >= least);
  return number(Math.floor(seconds / (size || 1)), { style: "unit", unit, unitDisplay: "short" });
}
