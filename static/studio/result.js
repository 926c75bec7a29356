// The result pane: empty, busy, refused, or a picture with figures, JSON and the command below it.

import { h, icon, replace } from "../js/lib/dom.js";
import { t } from "../js/lib/i18n.js";
import { curlOf, refusalText } from "./call.js";
import { copyButton } from "./drawing.js";
import { picture } from "./pictures.js";
import { tables } from "./tables.js";
import { duration } from "./words.js";

const TABS = ["figures", "json", "curl"];
// Above an answer that stands far down in its text.
const MARGIN_PX = 60;
let ids = 0;

export class ResultView {
  /** `retry()` and `cancel()` are what the buttons of the error and busy states do. */
  constructor(root, { retry, cancel, compact = false }) {
    Object.assign(this, { root, retry, cancel, compact, tab: "figures", id: ++ids });
  }

  empty(...children) {
    this.root.dataset.state = "empty";
    this.root.setAttribute("aria-busy", "false");
    replace(this.root, children);
  }

  busy(name) {
    this.root.dataset.state = "busy";
    this.root.setAttribute("aria-busy", "true");
    const clock = h("span", { class: "result__clock", "aria-hidden": "true" });
    const begun = performance.now();
    clearInterval(this.timer);
    this.timer = setInterval(() => { clock.textContent = duration(performance.now() - begun); }, 200);
    replace(this.root,
      h("div", { class: "result__head" }, h("span", { class: "spinner" }), h("span", { role: "status" }, t("running_task", { name })), clock, h("span", { class: "grow" }), h("button", { type: "button", class: "btn btn--ghost btn--sm", onClick: this.cancel }, t("cancel"))),
      h("div", { class: "result__picture", "aria-hidden": "true" }, h("span", { class: "skeleton skeleton--block" }), h("span", { class: "skeleton skeleton--long" }), h("span", { class: "skeleton skeleton--half" }), h("span", { class: "skeleton skeleton--short" })));
  }

  stop() {
    clearInterval(this.timer);
    this.root.setAttribute("aria-busy", "false");
  }

  error(error) {
    this.stop();
    this.root.dataset.state = "error";
    const { text, details } = refusalText(error);
    replace(this.root, h("div", { class: "empty", role: "alert" },
      h("span", { class: "empty__icon empty__icon--danger" }, icon("alert")),
      h("p", { class: "empty__title" }, text),
      details.length ? h("ul", { class: "result__details small" }, details.map((one) => h("li", null, one))) : null,
      h("p", { class: "empty__text" }, t("text_kept")),
      h("button", { type: "button", class: "btn", onClick: this.retry }, icon("refresh"), t("try_again")),
      error.requestId ? h("p", { class: "faint small" }, t("request", { id: error.requestId })) : null));
  }

  show({ task, text, options, result, ms }) {
    this.stop();
    this.root.dataset.state = "done";
    this.made = { task, text, options, result };
    this.stale = h("p", { class: "result__stale small", hidden: true }, icon("clock", "icon--sm"), t("stale"));
    replace(this.root,
      h("div", { class: "result__head" }, h("span", { class: "badge", title: t("model") }, icon("layers"), h("span", { class: "truncate" }, result.model || "–")), h("span", { class: "badge badge--outline", title: t("round_trip") }, icon("clock"), duration(ms)), this.stale),
      h("div", { class: "result__picture" }, picture(task, result, text, options)),
      this.compact ? h("details", { class: "result__more" }, h("summary", null, icon("chevron-right", "icon--sm"), t("figures")), h("div", { class: "result__panel" }, tables(task, result, text))) : this.details());
    const found = this.root.querySelector(".span--answer");
    if (found) found.closest(".marked").scrollTop = found.offsetTop - found.closest(".marked").offsetTop - MARGIN_PX;
  }

  /** Says that what is shown was made from another text or other options. */
  staleSet(stale) {
    if (this.stale) this.stale.hidden = !stale;
  }

  details() {
    const panel = h("div", { class: "result__panel", role: "tabpanel", id: `result-${this.id}`, tabindex: "0" });
    const tabs = TABS.map((name) => h("button", { type: "button", role: "tab", class: "tabs__tab", id: `result-${this.id}-${name}`, "aria-controls": panel.id, "aria-selected": "false", tabindex: "-1", dataset: { tab: name }, onClick: () => this.open(name) }, t(name)));
    const list = h("div", { class: "tabs", role: "tablist", "aria-label": t("details"), onKeydown: (event) => this.key(event) }, tabs);
    this.parts = { panel, tabs };
    this.open(this.tab);
    return h("div", { class: "result__details-box" }, list, panel);
  }

  open(name) {
    this.tab = name;
    for (const tab of this.parts.tabs) {
      tab.setAttribute("aria-selected", String(tab.dataset.tab === name));
      tab.tabIndex = tab.dataset.tab === name ? 0 : -1;
    }
    const { task, text, options, result } = this.made;
    this.parts.panel.setAttribute("aria-labelledby", `result-${this.id}-${name}`);
    if (name === "figures") replace(this.parts.panel, tables(task, result, text));
    else this.code(name === "json" ? JSON.stringify(result, null, 2) : curlOf(task, text, options), name);
  }

  code(text, name) {
    replace(this.parts.panel, h("div", { class: "code" }, h("pre", { class: "code__text", tabindex: "0", "aria-label": t(name) }, h("code", null, text)), copyButton(() => text)), name === "curl" ? h("p", { class: "small muted" }, t("curl_help")) : null);
  }

  key(event) {
    const at = TABS.indexOf(this.tab);
    const to = { ArrowRight: (at + 1) % TABS.length, ArrowLeft: (at + TABS.length - 1) % TABS.length, Home: 0, End: TABS.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    this.open(TABS[to]);
    this.parts.tabs[to].focus();
  }
}
