// The table of models, the memory of each against the budget, and the workers.

import { h, icon, replace } from "../js/lib/dom.js";
import { t } from "../js/lib/i18n.js";
import { count, megabytes, milliseconds, percent } from "./numbers.js";

const STATES = { ready: ["success", "check"], loading: ["accent", "clock"], draining: ["warning", "refresh"], unloaded: ["", "minus"] };

function nothing(value, format) {
  return value === null || value === undefined ? "–" : format(value);
}

// Heading key, value of a row, help.
const COLUMNS = [
  ["memory_short", (row) => nothing(row.memory_mb, megabytes)],
  ["leases", (row) => nothing(row.leases, count)],
  ["running", (row) => nothing(row.running, count)],
  ["queued", (row) => nothing(row.queued, count)],
  ["finished", (row) => nothing(row.finished, count)],
  ["cancelled", (row) => nothing(row.cancelled, count)],
  ["not_done", (row) => nothing(row.not_done, count), "not_done_help"],
  ["tokens", (row) => nothing(row.tokens, count)],
  ["cached", (row) => nothing(row.cached_share, percent)],
  ["p95", (row) => nothing(row.first_token_p95_s, milliseconds)],
];

function stateBadge(state) {
  const [tone, name] = STATES[state] || ["", "info"];
  return h("span", { class: `badge ${tone ? `badge--${tone}` : "badge--outline"}` }, icon(name), t(`state_${state}`));
}

function nameCell(row, several) {
  const about = [t(`role_${row.role}`), row.backend, row.revision, several ? row.worker : ""].filter(Boolean).join(" · ");
  return h("th", { scope: "row", class: "ops__name" },
    h("span", { class: "row row--wrap" }, h("span", { class: "strong" }, row.name), row.default ? h("span", { class: "badge" }, t("default")) : null),
    h("span", { class: "small muted ops__about" }, about));
}

export function modelsShow(part, data) {
  const several = data.workers.length > 1;
  const heading = (key, help) => h("th", { scope: "col", class: "num", title: help ? t(help) : null }, t(key));
  replace(part("models-head"), h("tr", null, h("th", { scope: "col" }, t("model")), h("th", { scope: "col" }, t("state")), COLUMNS.map(([key, , help]) => heading(key, help))));
  replace(part("models-body"), data.models.map((row) => h("tr", { "data-state": row.state },
    nameCell(row, several),
    h("td", null, stateBadge(row.state)),
    COLUMNS.map(([key, value]) => h("td", { class: "num", "data-label": t(key) }, value(row))))));
  replace(part("models-more"), data.models_left_out ? t("models_left_out", { n: count(data.models_left_out) }) : null);
  replace(part("workers"), data.workers.map((worker) => h("li", null, t("worker_line", {
    name: worker.name, resident: megabytes(worker.resident_mb), loads: count(worker.loads), unloads: count(worker.unloads), hits: count(worker.hits),
  }))));
  part("models").hidden = !data.models.length;
}

/** A card whose table has one bar a model, each against the budget of all workers. */
export class MemoryCard {
  constructor() {
    this.body = h("tbody");
    this.total = h("span", { class: "small muted" });
    const id = "memory-title";
    this.element = h("section", { class: "card ops__card ops__card--all", "aria-labelledby": id },
      h("div", { class: "ops__card-head" }, h("h2", { class: "ops__title", id }, t("memory")), this.total),
      h("div", { class: "ops__memory" }, h("table", null, h("caption", { class: "sr-only" }, t("memory")), this.body)));
  }

  update(data) {
    const loaded = data.models.filter((row) => row.memory_mb !== undefined);
    const bar = (name, mb, tone) => h("tr", null,
      h("th", { scope: "row", class: "truncate", title: name }, name),
      h("td", { class: "ops__bar" }, h("progress", { class: `progress ${tone}`, max: data.budget_mb || 1, value: mb, "aria-hidden": "true" })),
      h("td", { class: "num" }, megabytes(mb)));
    replace(this.body, loaded.map((row) => bar(row.name, row.memory_mb, "")), bar(t("budget_left"), Math.max(0, data.budget_mb - data.used_mb), "ops__free"));
    this.total.textContent = `${megabytes(data.used_mb)} ${t("of_budget", { budget: megabytes(data.budget_mb) })}`;
  }
}
