// Why a message was given its mood: its words, marked by what they add to it or take from it.

import { apiCall } from "../js/lib/api.js";
import { h, icon, replace } from "../js/lib/dom.js";
import { t } from "../js/lib/i18n.js";

const TIMEOUT_MS = 60_000;
const MOST_NAMED = 5;

/** A button, and the place that its answer opens in. The models read English: a translated message is explained in it. */
export function explanation(message) {
  const place = h("div", { class: "words", hidden: true, role: "status" });
  const button = h("button", { class: "entry__why", type: "button", "aria-expanded": "false", "aria-label": t("mood_why"), title: t("mood_why"), onClick: () => toggle(message, button, place) }, icon("help", "icon--sm"));
  return { button, place };
}

async function toggle(message, button, place) {
  place.hidden = !place.hidden;
  button.setAttribute("aria-expanded", String(!place.hidden));
  if (place.hidden || place.dataset.state === "ready") return;
  place.dataset.state = "loading";
  replace(place, h("span", { class: "spinner", role: "img", "aria-label": t("loading") }));
  const text = message.translations?.en ?? message.text;
  try {
    const found = await apiCall("POST", "/nlp/sentiment", { body: { text, explain: true }, timeoutMs: TIMEOUT_MS });
    replace(place, marked(text, found.tokens || []), h("p", { class: "faint" }, summary(found.tokens || [], found.label)));
    place.dataset.state = "ready";
  } catch {
    place.dataset.state = "failed";
    replace(place, h("p", null, t("mood_why_failed")));
  }
}

function marked(text, tokens) {
  const most = Math.max(...tokens.map((token) => Math.abs(token.weight)), 1e-6);
  const parts = [];
  let at = 0;
  // Places are counted in code points.
  const points = [...text];
  for (const token of tokens) {
    parts.push(points.slice(at, token.start).join(""));
    const word = h("span", { class: token.weight >= 0 ? "word word--for" : "word word--against" }, points.slice(token.start, token.end).join(""));
    word.style.setProperty("--share", (Math.abs(token.weight) / most).toFixed(2));
    parts.push(word);
    at = token.end;
  }
  return h("p", { dir: "auto" }, parts, points.slice(at).join(""));
}

/** The same for who does not see the marks: the words that count most. */
function summary(tokens, label) {
  const named = tokens.filter((token) => token.weight > 0 && /[\p{L}\p{N}]/u.test(token.text)).sort((a, b) => b.weight - a.weight).slice(0, MOST_NAMED).map((token) => token.text);
  return t("mood_why_words", { mood: t(`mood_${label}`), words: named.join(", ") || "–" });
}
