// The operators' page: asks for the figures every 2 s, and keeps 5 minutes of them.

import { h, icon, replace } from "../js/lib/dom.js";
import { i18nLoad, jsonRead, t } from "../js/lib/i18n.js";
import { LineChart, clock } from "./chart.js";
import { Deliveries } from "./deliveries.js";
import { MemoryCard, modelsShow } from "./models.js";
import { count, megabytes, milliseconds, rate } from "./numbers.js";

const EVERY_MS = 2000;
const LONGEST_MS = 10_000;
const TIMEOUT_MS = 9000;
const CLASSES = ["live", "api", "batch"];

const root = document.getElementById("operations");
const part = (name) => root.querySelector(`[data-part="${name}"]`);
i18nLoad(jsonRead("i18n"), document.documentElement.lang);

function byClass(name) {
  return CLASSES.map((label) => ({ label: t(label), get: (sample) => sample[name]?.[label] }));
}

function total(sample, name) {
  return sample?.[name] ? Object.values(sample[name]).reduce((sum, value) => sum + value, 0) : null;
}

class Page {
  constructor() {
    this.samples = [];
    this.data = null;
    this.failures = 0;
    this.paused = false;
    this.timer = 0;
    this.memory = new MemoryCard();
    this.charts = [
      new LineChart({ title: t("generated_title"), least: 10, format: rate, lines: [{ label: t("generated"), get: (sample) => sample.generated_per_s }] }),
      new LineChart({ title: t("times_title"), least: 0.1, format: milliseconds, lines: [{ label: t("first_token"), get: (sample) => sample.first_token_s }, { label: t("wait"), get: (sample) => sample.wait_s }] }),
      new LineChart({ title: t("running_title"), least: 4, format: rate, lines: byClass("running") }),
      new LineChart({ title: t("queued_title"), least: 4, format: rate, lines: byClass("queued") }),
      new LineChart({ title: t("batch_title"), least: 4, format: rate, lines: [{ label: t("chat_batch"), get: (sample) => sample.chat_batch }, { label: t("encode_batch"), get: (sample) => sample.encode_batch }] }),
      new LineChart({ title: t("encoded_title"), least: 100, format: rate, lines: [{ label: t("encoded"), get: (sample) => sample.encoded_per_s }] }),
    ];
    part("pause").addEventListener("click", () => this.pauseToggle());
    document.addEventListener("visibilitychange", () => this.wake());
    addEventListener("online", () => this.wake());
  }

  wake() {
    if (!document.hidden && !this.paused) this.poll();
  }

  pauseToggle() {
    this.paused = !this.paused;
    part("pause").setAttribute("aria-pressed", String(this.paused));
    part("pause").textContent = t(this.paused ? "resume" : "pause");
    if (this.paused) {
      clearTimeout(this.timer);
      part("updated").textContent = t("paused");
    } else {
      this.poll();
    }
  }

  async poll() {
    clearTimeout(this.timer);
    if (this.asking || this.stopped) return;
    this.asking = true;
    try {
      await this.ask();
    } finally {
      this.asking = false;
    }
    // A page that nobody looks at asks for nothing; it catches up when it is looked at again.
    if (this.stopped || this.paused || document.hidden) return;
    this.timer = setTimeout(() => this.poll(), Math.min(LONGEST_MS, EVERY_MS * 2 ** Math.min(this.failures, 3)));
  }

  async ask() {
    const last = this.samples.length ? this.samples[this.samples.length - 1].at : 0;
    let response;
    let data;
    try {
      response = await fetch(`${root.dataset.statsUrl}?after=${last}`, { headers: { Accept: "application/json" }, signal: AbortSignal.timeout(TIMEOUT_MS) });
      if (response.redirected || response.status === 401 || response.status === 403) {
        this.stop();
        return;
      }
      data = await response.json();
    } catch {
      this.fail(t("offline", { time: this.data ? clock(this.data.at) : t("none") }), "wifi-off");
      return;
    }
    if (!response.ok) {
      const id = data.error?.request_id || "–";
      this.fail(t(response.status === 503 ? "redis_away" : "failed", { id }), "alert");
      return;
    }
    this.failures = 0;
    if (!this.paused) this.show(data);
  }

  // -- problems --------------------------------------------------------------------------------------------------------
  banner(name, text, ...more) {
    const banner = part("banner");
    const shown = `${name}${text}`;
    if (banner.dataset.shown === shown) return;
    banner.dataset.shown = shown;
    replace(banner, icon(name), h("span", null, text), more);
    banner.hidden = false;
  }

  fail(text, name) {
    this.failures += 1;
    root.setAttribute("aria-busy", "false");
    root.dataset.stale = "true";
    this.banner(name, text);
  }

  stop() {
    this.stopped = true;
    root.dataset.stale = "true";
    this.banner("alert", t("signed_out"), h("a", { href: location.pathname }, t("reload")));
  }

  // -- figures ---------------------------------------------------------------------------------------------------------
  show(data) {
    this.data = data;
    const oldest = data.at - data.window_s;
    const known = this.samples.length ? this.samples[this.samples.length - 1].at : 0;
    this.samples = [...this.samples, ...data.series.filter((sample) => sample.at > known)].filter((sample) => sample.at >= oldest);
    part("banner").hidden = true;
    delete part("banner").dataset.shown;
    delete root.dataset.stale;
    root.setAttribute("aria-busy", "false");
    part("updated").textContent = t("updated", { time: clock(data.at) });
    this.alertsShow(data);
    const empty = !data.workers.length;
    part("empty").hidden = !empty;
    part("live").hidden = empty;
    modelsShow(part, data);
    if (!empty) this.liveShow(data);
  }

  alertsShow(data) {
    const alerts = [];
    if (data.failure) alerts.push(t("start_failed", { reason: data.failure.reason }));
    if (data.catalogue_error) alerts.push(t("catalogue_failed", { reason: data.catalogue_error }));
    for (const place of data.storage_short) alerts.push(t(`storage_${place}`));
    const box = part("alerts");
    const shown = alerts.join("\n");
    if (box.dataset.shown === shown) return;
    box.dataset.shown = shown;
    replace(box, alerts.map((text) => h("div", { class: "alert alert--danger" }, icon("alert"), h("span", null, text))));
  }

  liveShow(data) {
    if (!this.drawn) {
      replace(part("charts"), this.charts.map((chart) => chart.element), this.memory.element);
      this.drawn = true;
    }
    this.tilesShow(data, this.samples[this.samples.length - 1]);
    this.memory.update(data);
    for (const chart of this.charts) chart.update(this.samples, data.window_s);
  }

  tilesShow(data, last) {
    const some = (value, format) => (value === null || value === undefined ? "–" : format(value));
    const tiles = [
      [t("generated"), some(last?.generated_per_s, rate), t("tokens_per_s")],
      [t("running"), some(total(last, "running"), count), ""],
      [t("queued"), some(total(last, "queued"), count), ""],
      [t("first_token_p95"), some(data.first_token_p95_s, milliseconds), t("first_token_p95_help")],
      [t("memory"), megabytes(data.used_mb), t("of_budget", { budget: megabytes(data.budget_mb) })],
      [t("permits"), count(data.permits.in_use), t("of_limit", { limit: count(data.permits.limit) })],
    ];
    replace(part("tiles"), tiles.map(([name, value, unit]) => h("div", { class: "ops__tile" }, h("dt", null, name), h("dd", null, h("span", { class: "ops__figure" }, value), unit ? h("span", { class: "small muted" }, unit) : null))));
  }
}

new Page().poll();
new Deliveries(root, part).poll();
