// Classifiers of the organisation: the list, one in detail, and the dialog that teaches it.

import { ApiError, apiCall } from "../js/lib/api.js";
import { h, icon, replace } from "../js/lib/dom.js";
import { i18nLoad, jsonRead, t } from "../js/lib/i18n.js";
import { randomId } from "../js/lib/ids.js";
import { timeElement } from "../js/lib/time.js";
import { toast } from "../js/lib/toast.js";
import { refusalText, taskRun } from "./call.js";
import { bars, figures, table } from "./drawing.js";
import { Editor } from "./editor.js";
import { ResultView } from "./result.js";
import { labelName, number, percent, taskName } from "./words.js";

const POLL_MS = 1500;
const TONES = { ready: ["success", "check"], training: ["accent", "clock"], failed: ["danger", "alert"] };

const root = document.getElementById("classifiers");
const part = (name) => root.querySelector(`[data-part="${name}"]`);
i18nLoad(jsonRead("i18n"), document.documentElement.lang);

function statusBadge(status) {
  const [tone, name] = TONES[status] || TONES.failed;
  return h("span", { class: `badge badge--${tone}` }, icon(name), t(`status_${status}`));
}

function failed(error) {
  toast(refusalText(error).text, { danger: true, closeLabel: t("close") });
}

class ClassifiersPage {
  constructor() {
    this.items = [];
    this.writes = jsonRead("choices").write;
    this.editor = new Editor(part("editor"), (made) => this.teach(made));
    part("new")?.addEventListener("click", () => this.editor.open());
    addEventListener("popstate", () => this.show(new URLSearchParams(location.search).get("id") || ""));
  }

  async start() {
    try {
      await this.load();
    } catch (error) {
      replace(part("list"), h("li", { class: "empty", role: "alert" }, h("span", { class: "empty__icon empty__icon--danger" }, icon("alert")), h("p", { class: "empty__text" }, refusalText(error).text), h("button", { type: "button", class: "btn", onClick: () => this.start() }, icon("refresh"), t("try_again"))));
      return;
    }
    this.show(new URLSearchParams(location.search).get("id") || this.items[0]?.id || "");
  }

  async load() {
    const { items } = await apiCall("GET", "/analysis/classifiers", { query: { limit: 100 } });
    this.items = items;
    this.listShow();
    clearTimeout(this.timer);
    if (items.some((one) => one.status === "training")) this.timer = setTimeout(() => this.poll(), POLL_MS);
  }

  async poll() {
    const before = JSON.stringify(this.chosen);
    try {
      await this.load();
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) return;
      this.timer = setTimeout(() => this.poll(), POLL_MS * 4);
      return;
    }
    if (JSON.stringify(this.chosen) !== before) this.detailShow();
  }

  get chosen() {
    return this.items.find((one) => one.id === this.id);
  }

  listShow() {
    root.dataset.empty = String(!this.items.length);
    part("list").setAttribute("aria-busy", "false");
    if (!this.items.length) {
      replace(part("list"), h("li", { class: "empty" }, h("span", { class: "empty__icon" }, icon("tag")), h("p", { class: "empty__title" }, t("no_classifiers")), h("p", { class: "empty__text" }, t("no_classifiers_help")), this.writes ? h("button", { type: "button", class: "btn btn--primary", onClick: () => this.editor.open() }, icon("plus"), t("new_classifier")) : null));
      return;
    }
    replace(part("list"), this.items.map((one) => h("li", null, h("a", { class: "pick", href: `?id=${one.id}`, "aria-current": one.id === this.id ? "true" : null, onClick: (event) => this.pick(event, one.id) },
      h("span", { class: "row row--between" }, h("span", { class: "pick__name truncate" }, one.name), statusBadge(one.status)),
      h("span", { class: "small muted" }, [t("n_labels", { n: number(Object.keys(one.labels).length) }), t("n_examples", { n: number(total(one.labels)) })].join(" · "))))));
  }

  pick(event, id) {
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.button) return;
    event.preventDefault();
    history.pushState(null, "", `?id=${id}`);
    this.show(id);
  }

  show(id) {
    this.id = this.items.some((one) => one.id === id) ? id : "";
    this.listShow();
    this.detailShow();
  }

  // -- one classifier ----------------------------------------------------------------------------------------------------
  detailShow() {
    const one = this.chosen;
    part("detail").hidden = !this.items.length;
    if (!one) {
      replace(part("detail"), h("div", { class: "card" }, h("div", { class: "empty" }, h("p", { class: "empty__text" }, t("choose_classifier")))));
      return;
    }
    const active = one.versions.find((version) => version.number === one.active_version);
    replace(part("detail"), this.head(one), this.notice(one), this.quality(one, active), this.versions(one), active ? this.tryBox(one) : null);
  }

  head(one) {
    return h("header", { class: "detail__head" }, h("h2", null, one.name), statusBadge(one.status), h("span", { class: "grow" }),
      this.writes ? h("div", { class: "btn-group" }, h("button", { type: "button", class: "btn", disabled: one.status === "training", onClick: () => this.examplesOpen(one) }, icon("pencil"), t("change_examples")), h("button", { type: "button", class: "btn btn--ghost btn--icon", "aria-label": t("delete"), title: t("delete"), onClick: () => this.remove(one) }, icon("trash"))) : null);
  }

  notice(one) {
    if (one.status === "training") return h("p", { class: "alert", role: "status" }, h("span", { class: "spinner" }), t("training_now"));
    if (one.status === "failed") return h("p", { class: "alert alert--danger", role: "alert" }, icon("alert"), t("training_failed", { code: one.versions[0]?.error?.code || one.versions[0]?.error_code || "–" }));
    return null;
  }

  quality(one, active) {
    const labels = Object.entries(one.labels).sort((a, b) => b[1] - a[1]);
    const most = Math.max(1, ...labels.map(([, count]) => count));
    const metrics = active?.metrics || {};
    return h("section", { class: "card detail__card" },
      active ? figures([percent(metrics.macro_f1, 1), `${t("macro_f1")}: ${t("macro_f1_help")}`], [percent(metrics.accuracy, 1), `${t("accuracy")} (${t("accuracy_help", { value: percent(metrics.baseline, 0) })})`], [number(active.examples), t("examples_help", { n: number(active.labels.length) })]) : null,
      active ? h("p", { class: "small muted" }, t("measured", { n: number(metrics.folds) })) : null,
      h("h3", { class: "panel-title" }, t("labels")),
      bars(labels.map(([label, count]) => ({ label: labelName(label), value: count, text: number(count), tone: "" })), { max: most, name: t("labels") }));
  }

  versions(one) {
    const columns = [{ label: t("version_short") }, { label: t("state") }, { label: t("examples"), num: true }, { label: t("macro_f1"), num: true }, { label: t("accuracy"), num: true }, { label: t("trained") }, { label: t("answers") }];
    const share = (value) => (value === undefined || value === null ? "–" : percent(value, 1));
    const rows = one.versions.map((version) => [number(version.number), statusBadge(version.status), version.examples ? number(version.examples) : "–", share(version.metrics?.macro_f1), share(version.metrics?.accuracy), timeElement(version.finished_at || version.created_at, "muted small"), this.answers(one, version)]);
    return h("section", { class: "detail__versions" }, h("h3", { class: "panel-title" }, t("versions")), table(columns, rows, t("versions")));
  }

  answers(one, version) {
    if (version.number === one.active_version) return h("span", { class: "badge badge--success" }, icon("check"), t("yes"));
    if (version.status !== "ready" || !this.writes) return "–";
    return h("button", { type: "button", class: "btn btn--sm", "aria-label": t("use_version_name", { n: version.number }), onClick: () => this.activate(one, version.number) }, t("use_version"));
  }

  tryBox(one) {
    const area = h("textarea", { class: "input", rows: "3", id: "try-text" });
    const pane = h("div", { class: "result detail__result", hidden: true });
    const run = async () => {
      if (!area.value.trim()) return area.focus();
      pane.hidden = false;
      view.busy(taskName("classify"));
      const options = { classifier: one.name, explain: true };
      try {
        const { result, ms } = await taskRun("classify", area.value, options);
        view.show({ task: "classify", text: area.value, options, result, ms });
      } catch (error) {
        view.error(error);
      }
      return undefined;
    };
    const view = new ResultView(pane, { retry: run, cancel: () => { pane.hidden = true; }, compact: true });
    area.addEventListener("keydown", (event) => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) run(); });
    return h("section", { class: "card detail__card" }, h("h3", { class: "panel-title" }, h("label", { for: "try-text" }, t("try_it"))), area,
      h("div", { class: "btn-group" }, h("button", { type: "button", class: "btn btn--primary", onClick: run }, icon("play"), t("classify")), h("a", { class: "btn btn--ghost", href: `${root.dataset.tryUrl}?task=classify&o.classifier=${encodeURIComponent(JSON.stringify(one.name))}&explain=1` }, t("try_in_full"))), pane);
  }

  // -- changes -----------------------------------------------------------------------------------------------------------
  async teach({ classifier, name, examples }) {
    const path = classifier ? `/analysis/classifiers/${classifier.id}/examples` : "/analysis/classifiers";
    const made = await apiCall("POST", path, { body: classifier ? { examples, replace: true } : { name, examples }, idempotencyKey: randomId() });
    await this.load();
    history.pushState(null, "", `?id=${made.id}`);
    this.show(made.id);
  }

  async examplesOpen(one) {
    try {
      const { items } = await apiCall("GET", `/analysis/classifiers/${one.id}/examples`);
      this.editor.open({ classifier: one, examples: items });
    } catch (error) {
      failed(error);
    }
  }

  async activate(one, version) {
    try {
      await apiCall("POST", `/analysis/classifiers/${one.id}/activate`, { body: { version } });
      await this.load();
      this.detailShow();
      toast(t("version_used", { n: version }));
    } catch (error) {
      failed(error);
    }
  }

  async remove(one) {
    if (!window.confirm(t("delete_confirm", { name: one.name }))) return;
    try {
      await apiCall("DELETE", `/analysis/classifiers/${one.id}`);
      await this.load();
      history.replaceState(null, "", location.pathname);
      this.show(this.items[0]?.id || "");
      toast(t("deleted", { name: one.name }));
    } catch (error) {
      failed(error);
    }
  }
}

function total(labels) {
  return Object.values(labels).reduce((sum, count) => sum + count, 0);
}

new ClassifiersPage().start();
