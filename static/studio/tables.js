// The figures of a result as rows: what the picture shows, to read one by one.

import { t } from "../js/lib/i18n.js";
import { table } from "./drawing.js";
import { categoryRows, explanationsOf } from "./pictures.js";
import { labelName, labelOf, languageName, number, signed } from "./words.js";

const TEXT = (key) => ({ label: t(key) });
const KEEP = (key) => ({ label: t(key), keep: true });
const NUM = (key) => ({ label: t(key), num: true });
const score = (value) => (value === undefined || value === null ? "–" : number(value, 4));
const place = (value) => (value === undefined || value === null ? "–" : number(value));
const yes = (value) => t(value ? "yes" : "no");

function spansTable(spans, name) {
  return table([TEXT("text"), KEEP("type"), NUM("start"), NUM("end"), NUM("score")], spans.map((one) => [one.text ?? "", labelName(one.type), number(one.start), number(one.end), score(one.score)]), name);
}

const TABLES = {
  sentiment: (result) => [
    table([KEEP("label"), NUM("probability")], Object.entries(result.probabilities || {}).map(([label, value]) => [labelName(label), score(value)]), t("probabilities")),
    result.sentences?.length ? table([TEXT("sentence"), KEEP("label"), NUM("score")], result.sentences.map((one) => [one.text, labelName(one.label), signed(one.score, 4)]), t("by_sentence")) : null,
    result.aspects?.length ? table([TEXT("aspect"), KEEP("label"), NUM("score")], result.aspects.map((one) => (one.label ? [one.aspect, labelName(one.label), signed(one.score, 4)] : [one.aspect, t("not_mentioned"), "–"])), t("by_aspect")) : null,
  ],
  classify: (result) => table([KEEP("label"), NUM("score")], Object.entries(result.scores || {}).sort((a, b) => b[1] - a[1]).map(([label, value]) => [labelOf(result, label), score(value)]), t("scores")),
  entities: (result) => spansTable(result.entities, t("task_entities")),
  redact: (result) => [
    spansTable(result.entities, t("task_redact")),
    result.mapping ? table([TEXT("replacement"), TEXT("text")], Object.entries(result.mapping), t("mapping")) : null,
  ],
  language: (result) => table([TEXT("language"), KEEP("code"), NUM("confidence")], [[languageName(result.language), result.language, score(result.confidence)]], t("language")),
  keywords: (result) => table([TEXT("phrase"), NUM("score"), NUM("occurrences")], result.keywords.map((one) => [one.text, score(one.score), place(one.count)]), t("keywords")),
  moderate: (result) => table([TEXT("category"), NUM("score"), NUM("threshold"), KEEP("flagged")], categoryRows(result).map((row) => [labelName(row.name), score(row.score), score(row.threshold), yes(row.flagged)]), t("categories")),
  summarize: (result) => table([TEXT("sentence"), KEEP("supported"), NUM("start"), NUM("end")], (result.sentences || []).map((one) => [one.text, yes(one.supported), place(one.start), place(one.end)]), t("summary")),
  translate: (result) => table([TEXT("language"), KEEP("code")], [[languageName(result.source), result.source], [languageName(result.target), result.target]], t("language")),
  generate: (result) => [
    table([TEXT("text"), NUM("characters")], (result.texts || []).map((text) => [text, number([...text].length)]), t("text")),
    result.sentences ? table([TEXT("sentence"), KEEP("supported"), NUM("source")], result.sentences.flat().map((one) => [one.text, yes(one.supported), place(one.source)]), t("sources")) : null,
  ],
  answer: (result) => table([TEXT("answer"), NUM("start"), NUM("end"), NUM("score")], [[result.answer || "–", place(result.start), place(result.end), score(result.score)]], t("answer")),
};

/** Tables of a result, with the tokens of its explanations. */
export function tables(task, result, text) {
  const heaviest = (tokens) => [...tokens].sort((a, b) => Math.abs(b.weight) - Math.abs(a.weight)).slice(0, 200);
  return [
    TABLES[task] ? TABLES[task](result, text) : null,
    explanationsOf(result).map(({ name, tokens }) => table([result.explanations ? { label: name } : TEXT("token"), NUM("weight")], heaviest(tokens).map((one) => [one.text, signed(one.weight, 4)]), name)),
  ];
}
