// One batch: a draft to be started, its progress, its charts and texts.

import { apiCall } from "../../js/lib/api.js";
import { h, icon, replace } from "../../js/lib/dom.js";
import { i18nLoad, jsonRead, t } from "../../js/lib/i18n.js";
import { exactTime, timeElement } from "../../js/lib/time.js";
import { toast } from "../../js/lib/toast.js";
import { number, taskName } from "../words.js";
import { Board } from "./board.js";
import { Draft } from "./draft.js";
import { ACTIVE, alertBox, refusal, statusBadge, timeLeft } from "./names.js";

const EVERY_MS = 1000;
const LONGEST_MS = 15_000;
const BOARD_EVERY_MS = 5000;
const root = document.getElementById("batch");
const part = (name) => root.querySelector(`[data-part="${name}"]`);
const mayWrite = root.dataset.write === "true";
i18nLoad(jsonRead("i18n"), document.documentElement.lang);

class Page {
  constructor() {
    this.failures = 0;
    document.addEventListener("visibilitychange", () => !document.hidden && this.load());
  }

  async load() {
    clearTimeout(this.timer);
    try {
      this.show(await apiCall("GET", `/jobs/${root.dataset.id}`));
      if (this.failures) replace(part("problem"));
      this.failures = 0;
    } catch (error) {
      this.failures += 1;
      if (error.status === 404) return location.assign(root.dataset.listUrl);
      replace(part("problem"), alertBox(error.code === "network" ? t("connection_lost") : t("load_failed", { id: error.requestId || "–" })));
    }
    const going = !this.batch || ACTIVE.includes(this.batch.status) || this.failures;
    if (going && !document.hidden) this.timer = setTimeout(() => this.load(), Math.min(LONGEST_MS, EVERY_MS * 2 ** this.failures));
    return undefined;
  }

  show(batch) {
    const before = this.batch;
    this.batch = batch;
    if (before?.status !== batch.status) {
      this.headShow();
      if (before) part("status").textContent = t(`status_${batch.status}`);
    }
    this.progressShow();
    if (batch.status === "draft") this.draftShow();
    else this.boardShow(before);
  }

  // -- the head ----------------------------------------------------------------------------------------------------------
  headShow() {
    const { batch } = this;
    const expires = batch.expires_at ? h("span", { class: "small muted" }, t("deleted_on", { date: exactTime(batch.expires_at) })) : null;
    replace(part("about"), statusBadge(batch.status), batch.task ? h("span", { class: "small" }, taskName(batch.task)) : null, timeElement(batch.created_at, "small muted"), expires);
    const button = (name, iconName, run, kind = "") => h("button", { type: "button", class: `btn ${kind}`, onClick: run }, icon(iconName), t(`batch_${name}`));
    const active = ACTIVE.includes(batch.status);
    const can = mayWrite ? [
      active ? button("pause", "note", () => this.act("POST", "/pause")) : null,
      ["paused", "failed"].includes(batch.status) ? button("resume", "play", () => this.act("POST", "/resume"), "btn--primary") : null,
      active || batch.status === "paused" ? button("cancel", "x", () => confirm(t("cancel_sure")) && this.act("DELETE", "")) : null,
      button("delete", "trash", () => this.remove(), "btn--ghost"),
    ] : [];
    replace(part("actions"), can, batch.status === "draft" ? null : h("button", { type: "button", class: "btn btn--ghost", onClick: () => this.share() }, icon("link"), t("copy_link")));
  }

  async share() {
    await navigator.clipboard.writeText(location.href).then(() => toast(t("link_copied_filters")), () => toast(t("copy_failed"), { danger: true }));
  }

  async act(method, path) {
    try {
      this.show(await apiCall(method, `/jobs/${this.batch.id}${path}`, method === "POST" ? { body: {} } : {}));
      this.load();
    } catch (error) {
      toast(refusal(error), { danger: true });
      this.load();
    }
  }

  async remove() {
    if (!confirm(t("delete_sure", { name: this.batch.name }))) return;
    try {
      await apiCall("DELETE", `/jobs/${this.batch.id}`, { query: { purge: true } });
      location.assign(root.dataset.listUrl);
    } catch (error) {
      toast(refusal(error), { danger: true });
    }
  }

  // -- progress ----------------------------------------------------------------------------------------------------------
  progressShow() {
    const { batch } = this;
    const box = part("progress");
    box.hidden = batch.status === "done" || batch.status === "draft";
    if (box.hidden) return;
    const rows = batch.status === "reading" ? t("rows_found", { n: number(batch.total) }) : t("rows_of", { done: number(batch.done), total: number(batch.total) });
    const facts = [rows, batch.failed ? t("failed_n", { n: number(batch.failed) }) : null, batch.rate_per_s ? t("rate", { n: number(batch.rate_per_s, batch.rate_per_s < 10 ? 1 : 0) }) : null, batch.eta_s ? timeLeft(batch.eta_s) : null];
    const open = batch.status === "queued" || batch.status === "reading";
    const bar = h("progress", { class: "progress", max: "1", "aria-label": t("progress_of", { name: batch.name }), ...(open ? {} : { value: String(batch.progress) }) });
    const error = batch.error ? h("p", { class: "batch__error" }, icon("alert"), refusal(batch.error)) : null;
    replace(box, h("p", { class: "row row--between row--wrap" }, h("span", { class: "strong" }, t(`status_${batch.status}`)), h("span", { class: "small muted batch__facts" }, facts.filter(Boolean).join(" · "))), bar, error);
  }

  // -- draft and board ---------------------------------------------------------------------------------------------------
  async draftShow() {
    if (this.draft || !mayWrite) return;
    part("draft").hidden = false;
    this.draft = new Draft(part("draft"), { batch: this.batch, choices: jsonRead("choices"), started: (batch) => this.started(batch) });
    try {
      await this.draft.show();
    } catch (error) {
      this.draft = null;
      replace(part("problem"), alertBox(refusal(error)));
    }
  }

  started(batch) {
    part("draft").hidden = true;
    this.show(batch);
    this.load();
  }

  boardShow(before) {
    part("board").hidden = !this.batch.done && this.batch.status !== "done";
    if (part("board").hidden) return;
    if (!this.board) this.board = new Board(part, this.batch);
    this.board.batch = this.batch;
    const ended = before && before.status !== this.batch.status;
    const grown = this.batch.done !== this.shownDone && Date.now() - (this.shownAt || 0) > BOARD_EVERY_MS;
    if (!ended && !grown) return;
    // While it runs the charts grow; the texts that somebody reads stay.
    const first = this.shownDone === undefined;
    this.shownDone = this.batch.done;
    this.shownAt = Date.now();
    this.board.load({ texts: first || this.batch.status === "done" });
  }
}

new Page().load();
