// The charts of a batch and the texts behind them. What is shown is in the address: label, source, topic, since, until.

import { apiCall } from "../../js/lib/api.js";
import { h, icon, replace } from "../../js/lib/dom.js";
import { t } from "../../js/lib/i18n.js";
import { exactTime } from "../../js/lib/time.js";
import { number, signed } from "../words.js";
import { BarChart, TrendChart, chartSkeleton, labelClasses } from "./charts.js";
import { alertBox, barName, pointName, refusal } from "./names.js";

const DIMENSIONS = ["label", "source", "topic"];
const KEYS = [...DIMENSIONS, "since", "until"];
const TEXTS_AT_ONCE = 25;

export function filterRead() {
  const query = new URLSearchParams(location.search);
  return Object.fromEntries(KEYS.filter((key) => query.get(key)).map((key) => [key, query.get(key)]));
}

export class Board {
  constructor(part, batch) {
    Object.assign(this, { part, batch, turn: 0 });
    const follow = (href) => this.go(href);
    const legend = (name) => barName("label", name, this.batch);
    this.charts = {
      labels: new BarChart({ id: "labels", title: t("chart_labels"), follow, legend: null }),
      trend: new TrendChart({ id: "trend", title: t("chart_trend"), follow, legend }),
      topics: new BarChart({ id: "topics", title: t("chart_topics"), follow, legend }),
      sources: new BarChart({ id: "sources", title: t("chart_sources"), follow, legend }),
    };
    replace(part("charts"), Object.values(this.charts).map(chartSkeleton));
    addEventListener("popstate", () => this.load());
  }

  go(href) {
    history.pushState(null, "", href);
    const chosen = Object.keys(filterRead()).length > 0;
    this.load().then(() => chosen && this.part("texts").scrollIntoView({ block: "start" }));
  }

  /** The address with a filter set, or taken away where it is set already. */
  href(changes) {
    const next = { ...filterRead(), ...changes };
    const query = new URLSearchParams(Object.entries(next).filter(([, value]) => value));
    return `${location.pathname}${query.size ? `?${query}` : ""}`;
  }

  /** Asks for charts and texts under the filter of the address. An answer that comes too late is dropped. */
  async load({ texts = true } = {}) {
    const turn = ++this.turn;
    const query = filterRead();
    this.part("charts").setAttribute("aria-busy", "true");
    this.filtersShow(query);
    try {
      const [summary, page] = await Promise.all([
        apiCall("GET", `/jobs/${this.batch.id}/summary`, { query }),
        texts ? this.textsGet(query) : null,
      ]);
      if (turn !== this.turn) return;
      this.summaryShow(summary, query);
      if (page) this.textsShow(page, query);
      this.part("status").textContent = t("rows_n", { n: number(summary.rows) });
      replace(this.part("problem"));
    } catch (error) {
      if (turn === this.turn) replace(this.part("problem"), alertBox(refusal(error), h("button", { type: "button", class: "btn btn--sm", onClick: () => this.load() }, t("try_again"))));
    } finally {
      if (turn === this.turn) this.part("charts").setAttribute("aria-busy", "false");
    }
  }

  // -- filters -----------------------------------------------------------------------------------------------------------
  filtersShow(query) {
    const chip = (name, value, changes) => h("span", { class: "badge badge--accent batch__chip" }, `${name}: ${value}`, h("button", { type: "button", "aria-label": t("filter_remove", { name }), onClick: () => this.go(this.href(changes)) }, icon("x")));
    const chips = DIMENSIONS.filter((name) => query[name]).map((name) => chip(t(`filter_${name}`), barName(name, query[name], this.batch), { [name]: "" }));
    if (query.since || query.until) chips.push(chip(t("filter_time"), [query.since, query.until].map((at) => (at ? exactTime(at) : "…")).join(" – "), { since: "", until: "" }));
    replace(this.part("filters"), chips, chips.length > 1 ? h("button", { type: "button", class: "btn btn--ghost btn--sm", onClick: () => this.go(location.pathname) }, t("filters_clear")) : null);
    this.part("filters").hidden = !chips.length;
  }

  // -- charts ------------------------------------------------------------------------------------------------------------
  summaryShow(summary, query) {
    const classes = labelClasses(summary.labels.map((bar) => bar.name));
    const order = [...classes.keys()];
    const parts = (bar) => Object.entries(bar.labels).sort(([a], [b]) => order.indexOf(a) - order.indexOf(b));
    const bars = (kind, list) => list.map((bar) => ({ ...bar, label: barName(kind, bar.name, this.batch), parts: parts(bar), selected: query[kind] === bar.name, href: this.href({ [kind]: query[kind] === bar.name ? "" : bar.name }) }));
    const points = summary.trend.points.map((point) => {
      const selected = query.since === point.from && query.until === point.to;
      return { ...point, name: point.from, label: pointName(point.from, summary.trend.unit, true), parts: parts(point), selected, href: this.href(selected ? { since: "", until: "" } : { since: point.from, until: point.to }) };
    });
    const shown = { labels: bars("label", summary.labels), topics: bars("topic", summary.topics), sources: bars("source", summary.sources), trend: points };
    const notes = { topics: this.batch.total > 2000 ? t("topics_by_words") : "", trend: summary.trend.without_time ? t("without_time", { n: number(summary.trend.without_time) }) : "" };
    const present = Object.keys(this.charts).filter((name) => shown[name].length);
    this.chartsPlace(present);
    for (const name of present) this.charts[name].update({ bars: shown[name], classes, note: notes[name], unit: summary.trend.unit });
    this.tilesShow(summary, shown.labels, query);
  }

  chartsPlace(present) {
    const seen = present.join();
    if (seen === this.placed) return;
    this.placed = seen;
    const why = { too_few: t("topics_too_few"), failed: t("topics_failed") }[this.batch.topics_note];
    const hint = why && !present.includes("topics") ? h("p", { class: "small muted batch__hint" }, why) : null;
    replace(this.part("charts"), present.length ? present.map((name) => this.charts[name].element) : h("p", { class: "muted batch__hint" }, t("chart_nothing")), hint);
  }

  tilesShow(summary, labels, query) {
    // The chart of labels leaves out the filter on labels; the tiles do not.
    const passed = query.label ? labels.filter((bar) => bar.name === query.label) : labels;
    const most = [...passed].sort((a, b) => b.rows - a.rows)[0];
    const errors = passed.find((bar) => bar.name === "~error");
    const tiles = [[t("tile_rows"), number(summary.rows)], most && most.name !== "~error" ? [t("tile_labels"), most.label] : null, summary.mean_score === null ? null : [t("tile_score"), signed(summary.mean_score)], [t("tile_failed"), number(errors ? errors.rows : 0)]].filter(Boolean);
    replace(this.part("tiles"), tiles.map(([name, value]) => h("div", { class: "batch__tile" }, h("dt", null, name), h("dd", null, value))));
  }

  // -- texts -------------------------------------------------------------------------------------------------------------
  textsGet(query, cursor = "") {
    return apiCall("GET", `/jobs/${this.batch.id}/results`, { query: { ...query, format: "json", limit: TEXTS_AT_ONCE, cursor } });
  }

  textsShow(page, query) {
    this.list = h("ol", { class: "texts__list" });
    this.more = h("p", { class: "batch-more" });
    const files = ["csv", "xlsx", "jsonl"].map((kind) => h("a", { class: "btn btn--ghost btn--sm", download: true, href: `/api/v1/jobs/${this.batch.id}/results?${new URLSearchParams({ ...query, format: kind })}`, "aria-label": `${t("download_filtered")}: ${kind.toUpperCase()}` }, kind.toUpperCase()));
    replace(this.part("texts"), h("div", { class: "card__head" }, h("h2", { id: "texts-title" }, t("texts")), h("div", { class: "bchart__tools" }, icon("arrow-down", "icon--sm"), files)), page.items.length ? this.list : h("p", { class: "empty" }, t("texts_none")), this.more);
    this.textsAdd(page, query);
  }

  textsAdd(page, query) {
    this.list.append(...page.items.map((item) => this.text(item)));
    replace(this.more, page.next_cursor ? h("button", { type: "button", class: "btn", onClick: async (event) => {
      event.target.disabled = true;
      try {
        const next = await this.textsGet(query, page.next_cursor);
        this.textsAdd(next, query);
      } catch (error) {
        event.target.disabled = false;
        replace(this.part("problem"), alertBox(refusal(error)));
      }
    } }, t("texts_more")) : null);
  }

  text(item) {
    const facts = [t("row_n", { n: number(item.row + 1) }), item.id, item.source, item.time ? exactTime(item.time) : null, item.topic].filter(Boolean);
    const badge = item.error ? h("span", { class: "badge badge--danger" }, icon("alert"), item.error.code) : item.label ? h("span", { class: "badge" }, barName("label", item.label, this.batch), item.score === null ? null : ` ${signed(item.score)}`) : null;
    const plain = item.output && item.output !== item.label;
    return h("li", { class: "texts__item" },
      h("div", { class: "texts__head" }, h("p", { class: "small muted texts__facts" }, facts.join(" · ")), badge),
      h("p", { class: "texts__text", dir: "auto" }, item.text.length > 600 ? `${item.text.slice(0, 600)}…` : item.text || "–"),
      plain ? h("p", { class: "texts__output", dir: "auto" }, item.output) : null,
      item.error ? h("p", { class: "small muted" }, refusal(item.error)) : h("details", { class: "texts__json" }, h("summary", { class: "small muted" }, t("details")), h("pre", { tabindex: "0" }, h("code", null, JSON.stringify(item.result, null, 2)))));
  }
}
