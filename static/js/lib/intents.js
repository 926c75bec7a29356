// How the intents of support messages are called. The API, addresses and labels have their English words.

import { t } from "./i18n.js";

// What classifies by them, as results call it.
export const INTENTS = "support-intents";

/** The reader's words for an intent; any other label as it is. */
export function intentName(label) {
  const key = `intent_${String(label).toLowerCase().replaceAll(/[^a-z]+/g, "_")}`;
  const text = t(key);
  return text === key ? label : text;
}
