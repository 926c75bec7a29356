// Events that did not reach a handler: what waits, what died, and what to do next.

import { h, icon, replace } from "../js/lib/dom.js";
import { t } from "../js/lib/i18n.js";
import { count, duration } from "./numbers.js";

const EVERY_MS = 10_000;
const TIMEOUT_MS = 9000;
// A delivery that waits longer is late: the first tries come within seconds.
const LATE_S = 60;

export class Deliveries {
  constructor(root, part) {
    this.root = root;
    this.part = part;
    this.timer = 0;
    this.stopped = false;
    document.addEventListener("visibilitychange", () => this.poll());
  }

  async poll() {
    clearTimeout(this.timer);
    if (this.stopped || document.hidden) return;
    try {
      const response = await fetch(this.root.dataset.deliveriesUrl, { headers: { Accept: "application/json" }, signal: AbortSignal.timeout(TIMEOUT_MS) });
      if (response.redirected || response.status === 401 || response.status === 403) {
        this.stopped = true; // the page's own look says so
        return;
      }
      if (response.ok) this.show(await response.json());
      else this.advise([["warning", t("deliveries_away")]]);
    } catch {
      // The page's own look says that the connection is lost.
    }
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.poll(), EVERY_MS);
  }

  show(data) {
    const rows = data.handlers;
    const late = rows.some((row) => row.waiting_s > LATE_S);
    const advice = [];
    if (rows.some((row) => row.dead)) advice.push(["danger", t("deliveries_dead_advice")]);
    if (rows.some((row) => row.unknown)) advice.push(["warning", t("deliveries_unknown_advice")]);
    if (late) advice.push(["warning", t("deliveries_late_advice")]);
    if (!rows.length) advice.push(["success", t("deliveries_none")]);
    this.advise(advice);
    this.alert(rows.reduce((sum, row) => sum + row.dead, 0));
    this.part("deliveries").hidden = false;
    this.part("deliveries-table").hidden = !rows.length;
    const heading = (key) => h("th", { scope: "col", class: "num" }, t(key));
    replace(this.part("deliveries-head"), h("tr", null, h("th", { scope: "col" }, t("deliveries_handler")), ["deliveries_pending", "deliveries_oldest", "deliveries_dead", "deliveries_unknown"].map(heading), h("th", { scope: "col" }, h("span", { class: "sr-only" }, t("deliveries_action")))));
    this.rowsShow(rows);
    replace(this.part("deliveries-more"), data.left_out ? t("deliveries_left_out", { n: count(data.left_out) }) : null);
  }

  rowsShow(rows) {
    // A table that has not changed keeps its buttons, and the focus on one of them.
    const shown = JSON.stringify(rows.map((row) => [row.handler, row.pending, row.dead, row.unknown, row.error, row.waiting_s === null ? null : Math.floor(row.waiting_s)]));
    const body = this.part("deliveries-body");
    if (shown === this.shown) return;
    this.shown = shown;
    const focused = document.activeElement?.dataset?.handler;
    const number = (key, value) => h("td", { class: "num", "data-label": t(key) }, value);
    replace(body, rows.map((row) => h("tr", null,
      h("th", { scope: "row", class: "ops__name" }, h("code", null, row.handler), row.error ? h("span", { class: "small muted ops__about" }, t("deliveries_error", { error: row.error })) : null),
      number("deliveries_pending", count(row.pending)),
      number("deliveries_oldest", row.waiting_s === null ? "–" : duration(row.waiting_s)),
      number("deliveries_dead", row.dead ? h("span", { class: "badge badge--danger" }, count(row.dead)) : "0"),
      number("deliveries_unknown", row.unknown ? h("span", { class: "badge badge--warning" }, count(row.unknown)) : "0"),
      h("td", { class: "ops__action" }, row.dead ? h("button", { class: "btn btn--sm", type: "button", "data-handler": row.handler, "aria-label": t("deliveries_retry_of", { handler: row.handler }), onclick: (event) => this.retry(row.handler, event.currentTarget) }, icon("refresh"), t("deliveries_retry")) : null))));
    if (focused) [...body.querySelectorAll("button")].find((one) => one.dataset.handler === focused)?.focus();
  }

  /** At the top of a long page: how many events failed, and the way to them. */
  alert(dead) {
    const box = this.part("deliveries-alert");
    if (box.dataset.shown === String(dead)) return;
    box.dataset.shown = String(dead);
    replace(box, dead ? h("div", { class: "alert alert--danger" }, icon("alert"), h("span", null, t("deliveries_dead_alert", { n: count(dead) }), " ", h("a", { href: "#deliveries-title" }, t("deliveries_dead_link")))) : null);
  }

  advise(lines) {
    const box = this.part("deliveries-advice");
    const shown = JSON.stringify(lines);
    if (box.dataset.shown === shown) return;
    box.dataset.shown = shown;
    const icons = { danger: "alert", warning: "clock", success: "check" };
    replace(box, lines.map(([tone, text]) => h("div", { class: `alert alert--${tone}` }, icon(icons[tone]), h("span", null, text))));
    this.part("deliveries").hidden = false;
  }

  async retry(handler, button) {
    button.disabled = true;
    const form = new FormData();
    form.append("handler", handler);
    const token = document.querySelector('meta[name="csrf-token"]').content;
    let done = false;
    try {
      const response = await fetch(this.root.dataset.retryUrl, { method: "POST", body: form, headers: { "X-CSRFToken": token, Accept: "application/json" }, redirect: "error", signal: AbortSignal.timeout(60_000) });
      done = response.ok;
    } catch {
      // Said below.
    }
    this.shown = "";
    if (done) await this.poll();
    else {
      button.disabled = false;
      this.advise([["danger", t("deliveries_retry_failed")]]);
    }
  }
}
