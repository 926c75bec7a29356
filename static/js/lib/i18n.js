// Texts come from the server's catalogues, so that gettext stays the one place for them.

let texts = {};
let language = "en";

export function i18nLoad(catalogue, code) {
  texts = catalogue || {};
  language = code || "en";
}

/** The text of `key` with {name} places filled. A missing key shows itself, which a test looks for. */
export function t(key, values = {}) {
  const text = texts[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

export function languageNow() {
  return language === "zh-hans" ? "zh-Hans" : language;
}

export function jsonRead(id) {
  return JSON.parse(document.getElementById(id).textContent);
}
