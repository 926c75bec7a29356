// Names of what the tasks speak of, in the reader's language; what has no name here shows as the API calls it.

import { languageNow, t } from "../js/lib/i18n.js";
import { INTENTS, intentName } from "../js/lib/intents.js";

/** The text of `key`, or `fallback` where the catalogue has none. */
export function word(key, fallback) {
  const text = t(key);
  return text === key ? fallback : text;
}

/** A value of the API as words: "phone_number" -> "phone number". */
export function plain(value) {
  const text = String(value);
  return /^[A-Z0-9_]+$|^[a-z0-9_]+$/.test(text) ? text.replaceAll("_", " ").toLocaleLowerCase() : text;
}

export function taskName(task) {
  return word(`task_${task}`, plain(task));
}

export function optionName(name) {
  return word(`opt_${name}`, plain(name));
}

export function valueName(option, value) {
  return word(`val_${option}_${value}`, word(`val_${value}`, plain(value)));
}

export function labelName(label) {
  return word(`label_${String(label).toLowerCase()}`, plain(label));
}

/** The name of what a text was classified as: the intents of support have names, other labels are somebody's words. */
export function labelOf(result, label) {
  return result.model === INTENTS ? intentName(label) : labelName(label);
}

export function languageName(code) {
  if (!code || code === "und") return t("language_unknown");
  if (code === "auto") return t("language_auto");
  try {
    return new Intl.DisplayNames([languageNow()], { type: "language" }).of(code);
  } catch {
    return code;
  }
}

export function number(value, digits = 0) {
  return new Intl.NumberFormat(languageNow(), { maximumFractionDigits: digits, minimumFractionDigits: digits }).format(value);
}

export function percent(value, digits = 0) {
  return new Intl.NumberFormat(languageNow(), { style: "percent", maximumFractionDigits: digits }).format(value);
}

/** A number with its sign, as scores around zero are read. */
export function signed(value, digits = 2) {
  return new Intl.NumberFormat(languageNow(), { signDisplay: "exceptZero", maximumFractionDigits: digits, minimumFractionDigits: digits }).format(value);
}

export function duration(ms) {
  return ms < 1000 ? t("milliseconds", { n: number(ms) }) : t("seconds", { n: number(ms / 1000, 1) });
}

/** Words of a text; scripts without spaces count their characters. */
export function countWords(text) {
  const han = text.match(/[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]/gu) || [];
  const rest = text.replace(/[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]/gu, " ").match(/[\p{L}\p{N}][\p{L}\p{N}'’-]*/gu) || [];
  return han.length + rest.length;
}
