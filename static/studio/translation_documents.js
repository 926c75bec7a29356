// Documents: sending files, following their translation, fetching them.

import { ApiError, apiCall } from "../js/lib/api.js";
import { h, icon, replace } from "../js/lib/dom.js";
import { t } from "../js/lib/i18n.js";
import { timeElement } from "../js/lib/time.js";
import { toast } from "../js/lib/toast.js";
import { refusalText } from "./call.js";
import { PagedList, tableOf } from "./translation_list.js";
import { languageName, percent, word } from "./words.js";

const PATH = "/analysis/translation/documents";
const POLL_MS = 1500;
const POLL_SLOW_MS = 10_000;
const UPLOAD_MS = 120_000;
const TONES = { queued: ["accent", "clock"], running: ["accent", "clock"], ready: ["success", "check"], failed: ["danger", "alert"] };

export class DocumentsList extends PagedList {
  constructor(root) {
    super(root, PATH);
    this.maxMib = Number(root.dataset.maxMib);
    this.files = [];
  }

  start() {
    this.part("file").addEventListener("change", (event) => this.choose([...event.target.files]));
    this.part("form").addEventListener("submit", (event) => this.submit(event));
    const zone = this.part("dropzone");
    for (const name of ["dragenter", "dragover"]) zone.addEventListener(name, (event) => this.over(event, true));
    for (const name of ["dragleave", "drop"]) zone.addEventListener(name, (event) => this.over(event, false));
    zone.addEventListener("drop", (event) => this.choose([...event.dataTransfer.files]));
    this.follow();
  }

  over(event, inside) {
    event.preventDefault();
    this.part("dropzone").classList.toggle("dropzone--over", inside);
  }

  choose(files) {
    const large = files.find((file) => file.size > this.maxMib * 1024 * 1024);
    this.problem(large ? t("doc_too_large", { name: large.name, n: this.maxMib }) : "");
    this.files = large ? [] : files;
    this.part("chosen").textContent = this.files.length > 1 ? t("files_chosen", { n: this.files.length }) : this.files[0]?.name || "";
    this.part("submit").disabled = !this.files.length;
  }

  problem(text) {
    replace(this.part("problem"), text ? h("p", { class: "alert alert--danger" }, icon("alert"), text) : null);
  }

  async submit(event) {
    event.preventDefault();
    const button = this.part("submit");
    button.disabled = true;
    const files = this.files;
    try {
      for (const file of files) {
        this.part("chosen").textContent = t("doc_uploading", { name: file.name });
        await this.send(file);
      }
      this.part("form").reset();
      this.part("source").dispatchEvent(new Event("change"));
      this.choose([]);
    } catch (error) {
      this.choose(files);
      this.problem(refusalText(error).text);
    }
    await this.follow();
  }

  async send(file) {
    const form = new FormData();
    form.append("file", file);
    form.append("source", this.part("source").value);
    form.append("target", this.part("target").value);
    const token = document.querySelector('meta[name="csrf-token"]').content;
    let response;
    try {
      response = await fetch(`/api/v1${PATH}`, { method: "POST", body: form, headers: { "X-CSRFToken": token, Accept: "application/json" }, signal: AbortSignal.timeout(UPLOAD_MS) });
    } catch {
      throw new ApiError({});
    }
    if (response.ok) return;
    const error = (await response.json().catch(() => null))?.error || {};
    throw new ApiError({ status: response.status, code: error.code || `http_${response.status}`, message: error.message });
  }

  /** Loads the list, and again for as long as something in it is not finished. */
  async follow() {
    clearTimeout(this.timer);
    const before = new Map(this.items.map((one) => [one.id, one.status]));
    const focused = document.activeElement?.closest?.("[data-part='list']") ? document.activeElement.getAttribute("aria-label") : "";
    const loaded = await this.load();
    if (loaded) this.announce(before);
    if (focused) [...this.part("list").querySelectorAll("[aria-label]")].find((one) => one.getAttribute("aria-label") === focused)?.focus();
    const open = this.items.some((one) => one.status === "queued" || one.status === "running");
    if (loaded && open) this.timer = setTimeout(() => this.follow(), document.hidden ? POLL_SLOW_MS : POLL_MS);
  }

  announce(before) {
    for (const one of this.items) {
      if (!before.has(one.id) || before.get(one.id) === one.status) continue;
      if (one.status === "ready") this.say(t("doc_is_ready", { name: one.name }));
      if (one.status === "failed") toast(t("doc_has_failed", { name: one.name }), { danger: true, closeLabel: t("close") });
    }
  }

  empty() {
    return this.emptyCard("file", t("docs_empty"), t("docs_empty_text"));
  }

  table() {
    return tableOf([t("doc_name"), t("doc_languages"), t("doc_state"), t("doc_added"), t("actions")], this.items.map((one) => this.row(one)), this.part("list").getAttribute("aria-label"));
  }

  row(one) {
    const source = languageName(one.source === "auto" ? one.detected || "auto" : one.source);
    const link = one.status === "ready" ? h("a", { class: "btn btn--sm", href: `/api/v1${PATH}/${one.id}/file`, download: true, "aria-label": t("doc_download", { name: one.name }) }, icon("arrow-down"), one.format.toUpperCase()) : null;
    return h("tr", null,
      h("td", null, h("span", { class: "translation__name" }, icon("file"), one.name)),
      h("td", null, t("from_to", { source, target: languageName(one.target) })),
      h("td", null, this.state(one)),
      h("td", null, timeElement(one.created_at, "muted small")),
      h("td", { class: "actions" }, h("span", { class: "translation__more" }, link, this.removeButton(t("doc_remove", { name: one.name }), () => this.remove(one, t("doc_removed"))))));
  }

  state(one) {
    const [tone, name] = TONES[one.status] || TONES.failed;
    const badge = h("span", { class: `badge badge--${tone}` }, icon(name), t(`doc_${one.status}`));
    const bar = one.status === "running" ? h("progress", { class: "translation__bar", max: "1", value: String(one.progress), "aria-label": t("doc_progress", { name: one.name, percent: percent(one.progress) }) }) : null;
    const reason = one.error ? h("span", { class: "small translation__reason" }, word(`error_${one.error.code}`, one.error.message)) : null;
    return h("span", { class: "translation__state" }, badge, bar, reason);
  }
}
