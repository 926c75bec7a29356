// The page of translation: which of its three lists is shown, and what they share.

import { i18nLoad, jsonRead } from "../js/lib/i18n.js";
import { DocumentsList } from "./translation_documents.js";
import { MemoryList, TermsList } from "./translation_terms.js";
import { languageName } from "./words.js";

const LISTS = { documents: DocumentsList, glossary: TermsList, memory: MemoryList };

const root = document.getElementById("translation");
i18nLoad(jsonRead("i18n"), document.documentElement.lang);

/** Fills the two selects: what can be chosen on the right follows from the left. */
function languagesFill(languages) {
  const source = root.querySelector('[data-part="source"]');
  const target = root.querySelector('[data-part="target"]');
  if (!source) return;
  const codes = Object.keys(languages);
  const sources = codes.filter((code) => languages[code].length);
  const every = codes.filter((code) => sources.some((one) => languages[one].includes(code)));
  source.replaceChildren(...(source.dataset.auto ? ["auto", ...sources] : sources).map((code) => new Option(languageName(code), code)));
  const follow = () => {
    const kept = target.value;
    const targets = source.value === "auto" ? every : languages[source.value] || [];
    target.replaceChildren(...targets.map((code) => new Option(languageName(code), code)));
    if (targets.includes(kept)) target.value = kept;
  };
  source.addEventListener("change", follow);
  follow();
  const own = document.documentElement.lang.split("-")[0];
  const fitting = [...target.options].find((option) => option.value !== own);
  if (source.value === "auto" && fitting) target.value = fitting.value;
}

languagesFill(jsonRead("languages"));
new LISTS[root.dataset.tab](root).start();
