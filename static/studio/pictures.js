// Each result as a picture first. Every function gets (result, text, options) and returns nodes.

import { h, icon } from "../js/lib/dom.js";
import { safeUrl } from "../js/lib/format.js";
import { t } from "../js/lib/i18n.js";
import { bars, copyButton, figures, gauge, kindLegend, kindMark, markedText, pane, tokenLegend, tokenText, vary } from "./drawing.js";
import { countWords, labelName, labelOf, languageName, number, percent, signed } from "./words.js";

const MOST_MARKS = 2000;
const TONES = { positive: "good", negative: "bad", neutral: "calm" };
const SIGNS = { positive: "plus", negative: "minus", neutral: "dot" };

function ordered(scores) {
  return Object.entries(scores || {}).sort((a, b) => b[1] - a[1]);
}

/** The kinds of spans in order of their first appearance. */
function kindsOf(spans) {
  return [...new Set(spans.map((span) => span.type))];
}

function section(title, ...children) {
  return h("section", { class: "picture__part" }, h("h3", { class: "panel-title" }, title), children);
}

function verdict(tone, name, text, note = null) {
  return h("div", { class: "verdict", dataset: { tone } }, icon(name), h("div", { class: "grow" }, h("p", { class: "verdict__text", dir: "auto" }, text), note ? h("p", { class: "verdict__note small" }, note) : null));
}

// -- understanding -------------------------------------------------------------------------------------------------------
function moodMark(label) {
  return h("span", { class: "mood", dataset: { tone: TONES[label] || "calm" } }, icon(SIGNS[label] || "minus", "icon--sm"), labelName(label));
}

function sentiment(result) {
  const order = ["positive", "neutral", "negative"].filter((label) => label in (result.probabilities || {}));
  const rows = order.map((label) => ({ label: labelName(label), value: result.probabilities[label], top: label === result.label, tone: TONES[label] }));
  return [
    h("div", { class: "picture__split" }, gauge(result.score, labelName(result.label), TONES[result.label]), bars(rows, { name: t("probabilities") })),
    result.sentences?.length ? section(t("by_sentence"), h("ol", { class: "sentences" }, result.sentences.map((one) => h("li", { class: "sentence", dataset: { tone: TONES[one.label] || "calm" } }, h("span", { class: "sentence__text", dir: "auto" }, one.text), moodMark(one.label), h("span", { class: "sentence__score" }, signed(one.score)))))) : null,
    result.aspects?.length ? section(t("by_aspect"), aspects(result.aspects)) : null,
  ];
}

/** Bars that leave zero to either side. */
function aspects(list) {
  return h("ul", { class: "aspects" }, list.map((one) => h("li", { class: "aspects__row", dataset: { tone: TONES[one.label] || "calm" } },
    h("span", { class: "truncate", title: one.aspect }, one.aspect),
    one.label ? vary(h("span", { class: `aspects__track aspects__track--${one.score < 0 ? "left" : "right"}` }, h("span", { class: "aspects__fill" })), { value: Math.abs(one.score) }) : h("span", { class: "faint small" }, t("not_mentioned")),
    h("span", { class: "bars__value" }, one.label ? signed(one.score) : "–"))));
}

function classify(result) {
  const rows = ordered(result.scores).map(([label, value]) => ({ label: labelOf(result, label), value, top: label === result.label }));
  return [verdict("accent", "tag", labelOf(result, result.label), t("of_labels", { n: rows.length })), bars(rows, { name: t("scores") })];
}

/** Names are found in English alone: in another language, what is not marked may still be one. */
function namesNote(result) {
  const read = !result.language || result.language === "en" || result.language === "und";
  return read ? null : h("p", { class: "alert small" }, icon("info"), t("names_in_english", { language: languageName(result.language) }));
}

function entities(result, text, options) {
  const kinds = kindsOf(result.entities);
  const note = options.model ? null : namesNote(result);
  if (!kinds.length) return [verdict("calm", "info", t("no_entities")), note];
  return [kindLegend(kinds, result.entities), note, markedText(text, result.entities, kindMark(kinds), { "aria-label": t("text") })];
}

function redact(result, text) {
  const kinds = kindsOf(result.entities);
  const legend = kinds.length ? kindLegend(kinds, result.entities) : verdict("good", "check-circle", t("nothing_personal"));
  return [legend, namesNote(result), h("div", { class: "panes" },
    pane(t("before"), null, { children: markedText(text, result.entities, kindMark(kinds), { "aria-label": t("before") }) }),
    pane(t("after"), result.text, { badge: h("span", { class: "badge badge--success" }, t("n_hidden", { n: number(result.entities.length) })) }))];
}

function language(result) {
  const known = result.language !== "und";
  return [h("div", { class: "bigword" }, h("span", { class: "bigword__word" }, languageName(result.language)), known ? h("span", { class: "badge" }, result.language) : null),
    known ? bars([{ label: t("confidence"), value: result.confidence, tone: result.confidence > 0.8 ? "good" : "calm" }], { name: t("confidence") }) : h("p", { class: "muted" }, t("language_unknown_help"))];
}

function keywords(result, text) {
  if (!result.keywords.length) return verdict("calm", "info", t("no_keywords"));
  const most = Math.max(...result.keywords.map((one) => one.score), 1e-9);
  const spans = occurrences(text, result.keywords.map((one) => one.text));
  return [
    h("ul", { class: "cloud", "aria-label": t("keywords") }, result.keywords.map((one) => vary(h("li", { class: "cloud__word", title: number(one.score, 3), dir: "auto" }, one.text), { weight: (one.score / most).toFixed(3) }))),
    section(t("in_the_text"), markedText(text, spans, (span, part) => h("mark", { class: "span", dataset: { hue: 0 } }, part), { "aria-label": t("text") })),
  ];
}

/** Where phrases stand in the text, as code points without overlaps; a phrase further ahead in the list goes first. */
export function occurrences(text, phrases) {
  const points = [...text].map((char) => char.toLocaleLowerCase());
  const taken = new Array(points.length).fill(false);
  const spans = [];
  for (const phrase of phrases) {
    const wanted = [...phrase].map((char) => char.toLocaleLowerCase());
    for (let at = 0; wanted.length && at + wanted.length <= points.length && spans.length < MOST_MARKS; at += 1) {
      if (!wanted.every((char, index) => points[at + index] === char && !taken[at + index])) continue;
      taken.fill(true, at, at + wanted.length);
      spans.push({ start: at, end: at + wanted.length });
    }
  }
  return spans;
}

/** Categories with the worst first: [{name, score, flagged, threshold}]. */
export function categoryRows(result) {
  return Object.entries(result.categories).map(([name, one]) => {
    return { name, score: one.score, flagged: one.flagged, threshold: result.thresholds?.[name] };
  }).sort((a, b) => b.score - a.score);
}

function moderate(result) {
  const rows = categoryRows(result);
  const flagged = rows.filter((row) => row.flagged).map((row) => labelName(row.name));
  return [
    result.flagged ? verdict("bad", "flag", t("flagged"), flagged.join(" · ")) : verdict("good", "check-circle", t("not_flagged"), t("not_flagged_help")),
    bars(rows.map((row) => ({ label: labelName(row.name), value: row.score, threshold: row.threshold, tone: row.flagged ? "bad" : "calm" })), { name: t("categories") }),
    rows.some((row) => row.threshold !== undefined) ? h("p", { class: "small muted legend" }, h("span", { class: "legend__item" }, h("span", { class: "legend__line" }), t("threshold"))) : null,
  ];
}

// -- writing ---------------------------------------------------------------------------------------------------------------
function summarize(result, text, options) {
  const sentences = result.sentences || [];
  const unsupported = sentences.filter((one) => !one.supported).length;
  const before = countWords(text);
  const after = sentences.reduce((sum, one) => sum + countWords(one.text), 0);
  const taken = sentences.filter((one) => Number.isInteger(one.start));
  return [
    figures([number(after), t("words_of", { n: number(before) })], [before ? percent(after / before) : "–", t("of_length")], sentences.length ? [`${number(sentences.length - unsupported)}/${number(sentences.length)}`, t("sentences_supported"), unsupported ? "bad" : "good"] : null),
    options.method === "abstractive" && result.method === "extractive" ? notice(t("stood_in")) : null,
    checkedPane(t("summary"), result.summary, sentences),
    unsupported ? notice(t("unsupported_help")) : null,
    taken.length ? section(t("in_the_text"), markedText(text, taken, (span, part) => h("mark", { class: "span", dataset: { hue: 2 } }, part), { "aria-label": t("text") })) : null,
  ];
}

function notice(text) {
  return h("p", { class: "alert alert--warning small" }, icon("alert"), text);
}

/** A written text whose sentences carry whether the source says so. */
function checkedPane(title, text, sentences) {
  return h("section", { class: "pane", "aria-label": title },
    h("header", { class: "pane__head" }, h("span", { class: "pane__title" }, title), h("span", { class: "grow" }), copyButton(() => text)),
    h("ul", { class: "claims" }, sentences.map(claim)));
}

function claim(one) {
  return h("li", { class: "claim", dataset: { supported: String(Boolean(one.supported)) } },
    h("span", { class: "claim__mark", title: t(one.supported ? "supported" : "unsupported") }, icon(one.supported ? "check" : "alert", "icon--sm"), h("span", { class: "sr-only" }, t(one.supported ? "supported" : "unsupported"))),
    h("span", { class: "claim__text", dir: "auto" }, one.text, one.supported && one.source ? h("span", { class: "cite" }, number(one.source)) : null));
}

function translate(result, text, options) {
  const detected = !options.source || options.source === "auto";
  return h("div", { class: "panes" },
    pane(languageName(result.source), null, { children: text, lang: result.source, badge: detected ? h("span", { class: "badge" }, t("detected_sure", { value: percent(result.confidence ?? 1) })) : null }),
    pane(languageName(result.target), result.text, { lang: result.target }));
}

function generate(result) {
  const title = (index) => (result.texts.length > 1 ? t("variant", { n: number(index + 1) }) : t("text"));
  const words = (text) => h("span", { class: "badge" }, t("n_words", { n: number(countWords(text)) }));
  const checked = result.sentences || [];
  return [
    h("div", { class: "panes" }, result.texts.map((text, index) => (checked[index]?.length ? checkedPane(title(index), text, checked[index]) : pane(title(index), text, { badge: words(text) })))),
    checked.flat().some((one) => !one.supported) ? notice(t("unsupported_help")) : null,
    sources(result.sources || []),
  ];
}

function sources(list) {
  if (!list.length) return null;
  return section(t("sources"), h("ol", { class: "cites" }, list.map((one, index) => {
    const url = safeUrl(one.url, { relative: true });
    const name = [one.document || one.source, one.heading].filter((part, at, all) => part && all.indexOf(part) === at).join(" › ");
    return h("li", { class: "cites__item" }, h("span", { class: "cite" }, number(index + 1)), url ? h("a", { href: url.href, target: "_blank", rel: "noopener" }, name) : name);
  })));
}

function answer(result, text, options) {
  if (!result.answer) return verdict("calm", "help", t(options.collection ? "not_in_collection" : "not_in_text"), result.score ? t("score_is", { score: number(result.score, 2) }) : null);
  const mark = (span, part) => h("mark", { class: "span span--answer", dataset: { hue: 0 } }, part);
  const within = [...(result.sentence || "").split(result.answer)[0]].length;
  return [
    verdict("accent", "quote", result.answer, t("score_is", { score: number(result.score, 2) })),
    options.collection && result.sentence !== result.answer ? section(t("in_the_source"), markedText(result.sentence || "", [{ start: within, end: within + [...result.answer].length }], mark, { "aria-label": t("in_the_source") })) : null,
    options.collection
      ? null
      : section(t("in_the_text"), markedText(text, [{ start: result.start, end: result.end }], mark, { "aria-label": t("text") })),
    sources(result.source ? [result.source] : []),
  ];
}

const PICTURES = { sentiment, classify, entities, redact, language, keywords, moderate, summarize, translate, generate, answer };

/** The explanations of a result, [{name, label, tokens, about}]: one, or of moderation one for each category it speaks of. */
export function explanationsOf(result) {
  const found = Object.values(result.explanations || { own: { tokens: result.tokens || [], explanation: result.explanation || {} } });
  return found.filter((one) => one.tokens.length).map(({ tokens, explanation: about }) => {
    const label = labelOf(result, about.label ?? result.label);
    return { name: result.explanations ? t("explanation_of", { label }) : t("explanation"), label, tokens, about };
  });
}

function explained({ name, label, tokens, about }, text) {
  const figures = about.base === undefined ? null : h("p", { class: "small muted" }, t("explained", { base: percent(about.base, 1), value: percent(about.value, 1), method: about.method }));
  return section(name, tokenText(text, tokens, name), tokenLegend(label), figures);
}

/** The picture of a result, with its explanations below it. */
export function picture(task, result, text, options) {
  return [PICTURES[task] ? PICTURES[task](result, text, options) : null, explanationsOf(result).map((one) => explained(one, text))];
}

