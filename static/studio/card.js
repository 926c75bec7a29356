// What is known of the model behind a task, and how well it did beside simple baselines.

import { h, icon, replace } from "../js/lib/dom.js";
import { t } from "../js/lib/i18n.js";
import { table } from "./drawing.js";
import { number } from "./words.js";

const figureOf = (value) => number(value, value >= 10 ? 1 : 3);

/** Shows the card of a task ({model, source, licence, revision, languages, quality}) in the details element `root`. */
export function cardShow(root, card) {
  root.hidden = !card;
  if (!card) return;
  const main = card.quality?.rows[0];
  replace(root,
    h("summary", { class: "model-card__head" }, icon("chevron-right", "icon--sm"), h("span", { class: "strong" }, t("model_card")), h("span", { class: "truncate muted" }, card.model), h("span", { class: "grow" }), main ? h("span", { class: "badge", title: main.metric }, h("span", { class: "truncate" }, main.metric), h("span", { class: "strong" }, figureOf(main.ours))) : null),
    h("div", { class: "model-card__body" },
      h("dl", { class: "facts" }, facts(card).map(([name, value]) => [h("dt", null, name), h("dd", null, value)])),
      card.quality ? quality(card.quality) : h("p", { class: "muted small" }, t("not_measured"))));
}

function facts(card) {
  const all = [[t("model"), card.model], [t("languages"), card.languages], [t("licence"), card.licence], [t("from"), card.source], [t("revision"), card.revision]];
  return all.filter(([, value]) => value);
}

function quality({ data, rows, note }) {
  const names = [...new Set(rows.flatMap((row) => Object.keys(row.baselines)))];
  const best = (row) => h("span", { class: "strong" }, figureOf(row.ours));
  const columns = [{ label: t("metric") }, { label: t("ours"), num: true }, ...names.map((name) => ({ label: name, num: true }))];
  return [
    table(columns, rows.map((row) => [row.metric, best(row), ...names.map((name) => (name in row.baselines ? figureOf(row.baselines[name]) : "–"))]), t("measured_quality")),
    h("p", { class: "small muted" }, t("measured_on", { data })),
    note ? h("p", { class: "small muted" }, note) : null,
  ];
}
