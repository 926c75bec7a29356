// Asking for a task, and the same as a command that anybody can run.

import { ApiError, apiCall } from "../js/lib/api.js";
import { t } from "../js/lib/i18n.js";
import { TASK_NAMES } from "./tasks.js";
import { optionName, word } from "./words.js";

// A little more than the server gives a task.
const TIMEOUT_MS = 40_000;

/** {tasks, maxChars}: the tasks of this installation in the order in which they are offered. */
export async function tasksGet() {
  const found = await apiCall("GET", "/nlp");
  return { tasks: TASK_NAMES.map((name) => found.items.find((one) => one.task === name)).filter(Boolean), maxChars: found.max_chars };
}

/** The organisation's classifiers; none where they cannot be had: the forms then offer labels alone. */
export async function classifiersGet() {
  try {
    const { items } = await apiCall("GET", "/analysis/classifiers", { query: { limit: 100 } });
    return items;
  } catch {
    return [];
  }
}

/** {result, ms}. Throws ApiError. */
export async function taskRun(task, text, options, signal) {
  const begun = performance.now();
  const result = await apiCall("POST", `/nlp/${task}`, { body: { text, ...options }, signal, timeoutMs: TIMEOUT_MS });
  return { result, ms: performance.now() - begun };
}

/** The shell command for a POSIX shell; the key is left to the environment. */
export function curlOf(task, text, options) {
  const body = JSON.stringify({ text, ...options }).replaceAll("'", "'\\''");
  return [
    `curl -X POST ${location.origin}/api/v1/nlp/${task} \\`,
    '  -H "Authorization: Bearer $NLPSUITE_API_KEY" \\',
    '  -H "Content-Type: application/json" \\',
    `  -d '${body}'`,
  ].join("\n");
}

/** What a refusal means for people: {text, details}. */
export function refusalText(error) {
  if (!(error instanceof ApiError)) return { text: t("error_internal"), details: [] };
  const details = (Array.isArray(error.details) ? error.details : []).map((one) => `${optionName(one.field)}: ${one.message}`);
  return { text: word(`error_${error.code}`, error.message || t("error_internal")), details };
}

/** The text of a file or web page: {title, text, format, chars, cut, hidden_text}. Throws ApiError. */
export async function textRead(url, fields, signal) {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  const token = document.querySelector('meta[name="csrf-token"]').content;
  let response;
  try {
    response = await fetch(url, { method: "POST", body: form, headers: { "X-CSRFToken": token, Accept: "application/json" }, signal, redirect: "error" });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError({});
  }
  const answer = await response.json().catch(() => null);
  if (response.ok && answer) return answer;
  const error = answer?.error || {};
  throw new ApiError({ status: response.status, code: error.code || `http_${response.status}`, message: error.message, requestId: error.request_id || "" });
}
