// Turns message text into safe DOM: paragraphs, lists, bold, code, links, citation chips. The text of a bot or of a
// visitor is untrusted: it becomes text nodes, never HTML; links open only http(s) and show their host; images are
// never loaded, because a loaded image would tell its host what was said.

import { h } from "./dom.js";

const LIST_ITEM = /^\s{0,8}(?:[-*•]|(\d{1,3})[.)])\s+(.*)$/;
const HEADING = /^#{1,6}\s+(.*)$/;
const URL_AT = /https?:\/\/[^\s<>"'`，。！？；：、（）「」【】《》]+/y;
const TRAILING = /[.,;:!?)\]}'"*_]$/;
const MAX_CITATION = 99;

/** Formats `text`; `citations` (1-based in the text as "[1]") become chips made by `chip(citation, number)`. */
export function formatText(text, { citations = [], chip = citationChip } = {}) {
  const fragment = document.createDocumentFragment();
  const lines = String(text).split(/\r\n?|\n/);
  let at = 0;
  while (at < lines.length) {
    if (!lines[at].trim()) {
      at += 1;
    } else if (lines[at].trimStart().startsWith("```")) {
      at = codeBlock(lines, at, fragment);
    } else if (LIST_ITEM.test(lines[at])) {
      at = list(lines, at, fragment, citations, chip);
    } else {
      at = paragraph(lines, at, fragment, citations, chip);
    }
  }
  return fragment;
}

function codeBlock(lines, from, parent) {
  let at = from + 1;
  const code = [];
  while (at < lines.length && !lines[at].trimStart().startsWith("```")) code.push(lines[at++]);
  parent.append(h("pre", { tabindex: "0" }, h("code", null, code.join("\n"))));
  return at + 1;
}

function list(lines, from, parent, citations, chip) {
  const ordered = Boolean(LIST_ITEM.exec(lines[from])[1]);
  const element = h(ordered ? "ol" : "ul", ordered ? { start: LIST_ITEM.exec(lines[from])[1] } : null);
  let at = from;
  for (; at < lines.length; at += 1) {
    const match = LIST_ITEM.exec(lines[at]);
    if (!match || Boolean(match[1]) !== ordered) break;
    element.append(h("li", null, inline(match[2], citations, chip)));
  }
  parent.append(element);
  return at;
}

function paragraph(lines, from, parent, citations, chip) {
  const heading = HEADING.exec(lines[from]);
  if (heading) {
    parent.append(h("p", { class: "strong" }, inline(heading[1], citations, chip)));
    return from + 1;
  }
  const element = h("p", null);
  let at = from;
  for (; at < lines.length && lines[at].trim(); at += 1) {
    if (at > from && (LIST_ITEM.test(lines[at]) || lines[at].trimStart().startsWith("```"))) break;
    if (at > from) element.append(h("br"));
    element.append(inline(lines[at], citations, chip));
  }
  parent.append(element);
  return at;
}

/** One line. Each kind of mark is searched for at most once past its last occurrence, so the cost stays linear. */
function inline(line, citations, chip) {
  const fragment = document.createDocumentFragment();
  const closed = { "`": true, "**": true };
  let plain = "";
  let at = 0;
  const flush = () => {
    if (plain) fragment.append(plain);
    plain = "";
  };
  const put = (node, next) => {
    flush();
    fragment.append(node);
    at = next;
  };
  while (at < line.length) {
    const char = line[at];
    const pair = char === "`" ? "`" : line.startsWith("**", at) ? "**" : "";
    if (pair && closed[pair]) {
      const end = line.indexOf(pair, at + pair.length);
      closed[pair] = end !== -1;
      if (end > at + pair.length) {
        const inner = line.slice(at + pair.length, end);
        put(pair === "`" ? h("code", null, inner) : h("strong", null, inline(inner, citations, chip)), end + pair.length);
        continue;
      }
    }
    const special = char === "[" || line.startsWith("![", at) ? bracket(line, at, citations, chip) : char === "h" ? autolink(line, at) : null;
    if (special) {
      put(special.node, special.next);
      continue;
    }
    plain += char;
    at += 1;
  }
  flush();
  return fragment;
}

const BRACKET = /!?\[([^\]\n]{0,300})\](?:\(([^()\s]{1,2000})\))?/y;

function bracket(line, at, citations, chip) {
  BRACKET.lastIndex = at;
  const match = BRACKET.exec(line);
  if (!match) return null;
  const [whole, label, target] = match;
  const next = at + whole.length;
  const number = /^\d{1,2}$/.test(label) ? Number(label) : 0;
  if (!target && number >= 1 && number <= MAX_CITATION && citations[number - 1]) return { node: chip(citations[number - 1], number), next };
  if (!target) return null;
  if (whole.startsWith("!")) return { node: document.createTextNode(label), next };
  const url = safeUrl(target);
  return url ? { node: link(url, label || url.host), next } : null;
}

function autolink(line, at) {
  URL_AT.lastIndex = at;
  const match = URL_AT.exec(line);
  if (!match) return null;
  let target = match[0];
  while (TRAILING.test(target)) target = target.slice(0, -1);
  const url = safeUrl(target);
  return url ? { node: link(url, target), next: at + target.length } : null;
}

/** An http(s) URL object, or null. A relative address is taken only where `relative` is set. */
export function safeUrl(target, { relative = false } = {}) {
  try {
    const url = relative ? new URL(target, location.origin) : new URL(target);
    return url.protocol === "https:" || url.protocol === "http:" ? url : null;
  } catch {
    return null;
  }
}

function link(url, label) {
  const anchor = h("a", { href: url.href, target: "_blank", rel: "noopener noreferrer nofollow" }, label);
  if (label.includes(url.host)) return anchor;
  return h("span", null, anchor, h("span", { class: "link-host" }, ` (${url.host})`));
}

/** A numbered chip that opens the cited passage. */
export function citationChip(citation, number) {
  const url = citation.url ? safeUrl(citation.url, { relative: true }) : null;
  const title = citationTitle(citation);
  const props = { class: "cite", title, "aria-label": `${number}: ${citation.document || citation.source || ""}` };
  if (!url) return h("span", props, String(number));
  return h("a", { ...props, href: url.href, target: "_blank", rel: "noopener", "data-citation": String(number) }, String(number));
}

export function citationTitle(citation) {
  const name = citation.document || citation.source || "";
  return citation.quote ? `${name}\n“${citation.quote}”` : name;
}
