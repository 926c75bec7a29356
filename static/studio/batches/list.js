// The batches of the organisation, and the way in: a file becomes a draft, whose columns are looked at first.

import { ApiError, apiCall } from "../../js/lib/api.js";
import { h, icon, replace } from "../../js/lib/dom.js";
import { i18nLoad, jsonRead, t } from "../../js/lib/i18n.js";
import { timeElement, timesRefresh } from "../../js/lib/time.js";
import { number, percent, taskName } from "../words.js";
import { ACTIVE, alertBox, refusal, statusBadge, timeLeft } from "./names.js";

const EVERY_MS = 2000;
const LONGEST_MS = 15_000;
const root = document.getElementById("batches");
const part = (name) => root.querySelector(`[data-part="${name}"]`);
i18nLoad(jsonRead("i18n"), document.documentElement.lang);

class List {
  constructor() {
    this.cursor = new URLSearchParams(location.search).get("cursor") || "";
    this.failures = 0;
    document.addEventListener("visibilitychange", () => !document.hidden && this.load());
  }

  async load() {
    clearTimeout(this.timer);
    let active = true;
    try {
      const page = await apiCall("GET", "/jobs", { query: { limit: 25, cursor: this.cursor } });
      this.failures = 0;
      replace(part("problem"));
      this.show(page);
      active = page.items.some((item) => ACTIVE.includes(item.status));
    } catch (error) {
      this.failures += 1;
      replace(part("problem"), alertBox(error.code === "network" ? t("connection_lost") : t("load_failed", { id: error.requestId || "–" })));
    }
    if (active && !document.hidden) this.timer = setTimeout(() => this.load(), Math.min(LONGEST_MS, EVERY_MS * 2 ** this.failures));
  }

  show({ items, next_cursor: following }) {
    const box = part("list");
    box.setAttribute("aria-busy", "false");
    const seen = JSON.stringify([items, following]);
    // What has not changed is left alone: a link in focus keeps it.
    if (seen === this.seen) return timesRefresh(box);
    this.seen = seen;
    const focused = document.activeElement?.closest?.("[data-id]")?.dataset.id;
    if (!items.length) replace(box, this.empty());
    else replace(box, h("ul", { class: "card batch-list" }, items.map((item) => this.row(item))), following ? h("p", { class: "batch-more" }, h("a", { class: "btn", href: `${root.dataset.pageUrl}?cursor=${encodeURIComponent(following)}` }, t("batches_older"))) : null);
    if (focused) box.querySelector(`[data-id="${focused}"] a`)?.focus();
    return undefined;
  }

  empty() {
    return h("div", { class: "card" }, h("div", { class: "empty" }, h("span", { class: "empty__icon" }, icon("layers")), h("p", { class: "empty__title" }, t("batches_empty")), h("p", { class: "empty__text" }, t("batches_empty_text")), part("file") ? h("button", { type: "button", class: "btn btn--primary", onClick: () => part("file").click() }, icon("upload"), t("batch_choose")) : null));
  }

  row(item) {
    const running = ACTIVE.includes(item.status) && item.total;
    const counts = item.status === "draft" ? null : item.status === "done" ? t("rows_n", { n: number(item.total) }) : t("rows_of", { done: number(item.done), total: number(item.total) });
    return h("li", { class: "batch-row", dataset: { id: item.id } },
      h("div", { class: "batch-row__main" },
        h("a", { class: "batch-row__name", href: `${root.dataset.pageUrl}${item.id}/` }, item.name),
        h("p", { class: "small muted batch-row__facts" }, item.task ? h("span", null, taskName(item.task)) : null, h("span", null, item.format.toUpperCase()), timeElement(item.created_at))),
      h("div", { class: "batch-row__state" }, statusBadge(item.status),
        running ? h("progress", { class: "progress", max: "1", value: String(item.progress), "aria-label": t("progress_of", { name: item.name }) }) : null,
        h("p", { class: "small muted" }, [counts, item.failed ? t("failed_n", { n: number(item.failed) }) : null, item.eta_s ? timeLeft(item.eta_s) : null].filter(Boolean).join(" · "))));
  }
}

class Upload {
  constructor() {
    this.form = part("upload");
    if (!this.form) return;
    part("file").addEventListener("change", () => this.take(part("file").files));
    for (const name of ["dragenter", "dragover"]) this.form.addEventListener(name, (event) => { event.preventDefault(); this.form.classList.add("drop--over"); });
    for (const name of ["dragleave", "drop"]) this.form.addEventListener(name, () => this.form.classList.remove("drop--over"));
    this.form.addEventListener("drop", (event) => { event.preventDefault(); this.take(event.dataTransfer.files); });
    this.form.addEventListener("submit", (event) => event.preventDefault());
  }

  async take(files) {
    const file = files[0];
    if (!file || this.busy) return;
    replace(part("problem"));
    if (file.size > Number(root.dataset.maxBytes)) return this.fail(t("upload_too_large", { n: number(Number(root.dataset.maxMib)) }));
    this.busy = true;
    try {
      const made = await this.send(file);
      this.state(t("upload_done"), 1);
      location.assign(`${root.dataset.pageUrl}${made.id}/`);
    } catch (error) {
      this.fail(error.code === "network" ? t("upload_network") : refusal(error));
    } finally {
      this.busy = false;
    }
    return undefined;
  }

  fail(text) {
    part("upload-state").hidden = true;
    part("file").value = "";
    replace(part("problem"), alertBox(text));
  }

  state(text, share) {
    part("upload-state").hidden = false;
    replace(part("upload-state"), h("span", { class: "small" }, text), h("progress", { class: "progress", max: "1", value: String(share), "aria-label": text }));
  }

  /** XMLHttpRequest, since fetch does not tell how much of a body is sent. */
  send(file) {
    const form = new FormData();
    form.append("start", "false");
    form.append("file", file);
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      request.open("POST", "/api/v1/jobs");
      request.setRequestHeader("X-CSRFToken", document.querySelector('meta[name="csrf-token"]').content);
      request.responseType = "json";
      request.upload.addEventListener("progress", (event) => event.lengthComputable && this.state(t("upload_running", { name: file.name, percent: percent(event.loaded / event.total) }), event.loaded / event.total));
      request.addEventListener("error", () => reject(new ApiError({})));
      request.addEventListener("load", () => {
        if (request.status === 202) return resolve(request.response);
        const error = request.response?.error || {};
        return reject(new ApiError({ status: request.status, code: error.code || `http_${request.status}`, message: error.message, requestId: error.request_id }));
      });
      request.send(form);
    });
  }
}

new Upload();
new List().load();
