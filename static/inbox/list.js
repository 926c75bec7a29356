// The list of conversations: rows, search, more on scrolling, and what is shown when there is nothing.

import { h, hue, icon, initials, replace } from "../js/lib/dom.js";
import { t } from "../js/lib/i18n.js";
import { intentName } from "../js/lib/intents.js";
import { timeElement } from "../js/lib/time.js";
import { languageMark, moodMark } from "./insights.js";
import { contactName } from "./store.js";

const SKELETON_ROWS = 7;

export class ListPane {
  /** `actions`: open(id), more(), retry(), clearSearch(). */
  constructor(root, store, actions) {
    this.root = root;
    this.store = store;
    this.actions = actions;
    this.cursorId = "";
    this.body = h("ul", { class: "convs", "aria-label": t("conversations") });
    this.foot = h("div", { class: "convs__foot" });
    replace(root, this.body, this.foot);
    new IntersectionObserver((entries) => {
      if (entries.some((entry) => entry.isIntersecting)) this.actions.more();
    }, { root, rootMargin: "200px" }).observe(this.foot);
    for (const name of ["list", "conversation", "open"]) store.addEventListener(name, () => this.schedule());
    this.render();
  }

  schedule() {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      this.render();
    });
  }

  render() {
    const { store } = this;
    this.root.setAttribute("aria-busy", String(store.listState === "loading"));
    if (store.listState === "loading") replace(this.body, Array.from({ length: SKELETON_ROWS }, skeletonRow));
    else if (store.listState === "error") replace(this.body, h("li", null, this.errorState()));
    else if (!store.ids.length) replace(this.body, h("li", null, this.emptyState()));
    else this.renderRows();
    replace(this.foot, store.listState === "ready" && store.cursor ? h("span", { class: "spinner", role: "status", "aria-label": t("loading") }) : null);
  }

  renderRows() {
    const focused = document.activeElement?.closest?.("[data-conversation]")?.dataset.conversation;
    replace(this.body, this.store.ids.map((id) => this.row(this.store.conversations.get(id))));
    if (focused) this.rowLink(focused)?.focus({ preventScroll: true });
  }

  row(item) {
    const name = contactName(item, t);
    const open = item.id === this.store.openId;
    const last = item.last_message;
    const address = new URL(location.href);
    address.searchParams.set("c", item.id);
    const link = h("a", {
      class: `conv ${item.unread ? "conv--unread" : ""}`,
      href: address.pathname + address.search,
      "aria-current": open ? "true" : null,
      dataset: { conversation: item.id },
      onClick: (event) => {
        if (event.metaKey || event.ctrlKey || event.shiftKey || event.button) return;
        event.preventDefault();
        this.actions.open(item.id);
      },
    },
    h("span", { class: "avatar", "aria-hidden": "true", dataset: { hue: hue(item.contact?.id) } }, initials(name)),
    h("span", { class: "conv__main" },
      h("span", { class: "conv__top" }, h("span", { class: "conv__name truncate" }, name), last ? timeElement(last.created_at, "conv__time") : null),
      h("span", { class: "conv__line truncate" }, this.line(item)),
      h("span", { class: "conv__meta" }, stateBadge(item), item.labels.slice(0, 2).map((label) => h("span", { class: "badge badge--outline" }, intentName(label))), h("span", { class: "grow" }), languageMark(item.language), moodMark(item.mood), item.assignee ? h("span", { class: "avatar avatar--sm avatar--person", title: item.assignee.name }, h("span", { class: "sr-only" }, t("assigned_to", { name: item.assignee.name })), initials(item.assignee.name)) : null, item.unread ? h("span", { class: "badge badge--count" }, h("span", { class: "sr-only" }, `${t("unread")}: `), item.unread > 99 ? "99+" : String(item.unread)) : null)));
    return h("li", null, link);
  }

  /** The last message, or the one that a search by meaning found. */
  line(item) {
    const match = this.store.search && this.store.meaning ? this.store.matches.get(item.id) : null;
    if (match) return [icon("sparkle", "icon--sm conv__mark"), match.text];
    const last = item.last_message;
    return last ? [lastMark(last), last.text] : t("no_messages");
  }

  emptyState() {
    if (this.store.search) {
      return h("div", { class: "empty" }, h("div", { class: "empty__icon" }, icon("search")), h("p", { class: "empty__title" }, t("search_nothing")), h("p", { class: "empty__text" }, t("search_nothing_text", { q: this.store.search })), h("button", { class: "btn", type: "button", onClick: this.actions.clearSearch }, t("search_clear")));
    }
    if (this.store.mood) return h("div", { class: "empty" }, h("div", { class: "empty__icon" }, icon("search")), h("p", { class: "empty__title" }, t("search_nothing")), h("p", { class: "empty__text" }, t("mood_nothing")));
    const view = this.store.view;
    return h("div", { class: "empty" }, h("div", { class: "empty__icon" }, icon(view === "resolved" ? "check-circle" : "inbox")), h("p", { class: "empty__title" }, t(`empty_${view}`)), h("p", { class: "empty__text" }, t(`empty_${view}_text`)), view === "open" ? h("a", { class: "btn", href: "/", target: "_blank", rel: "noopener" }, t("open_demo")) : null);
  }

  errorState() {
    return errorBox(this.store.listError, this.actions.retry);
  }

  rowLink(id) {
    return this.body.querySelector(`[data-conversation="${CSS.escape(id)}"]`);
  }

  /** Moves the open conversation or the focus by `step` rows. */
  move(step) {
    const { ids } = this.store;
    if (!ids.length) return;
    const from = ids.indexOf(this.cursorId || this.store.openId);
    this.cursorId = ids[Math.max(0, Math.min(ids.length - 1, from + step))];
    const link = this.rowLink(this.cursorId);
    link?.focus();
    link?.scrollIntoView({ block: "nearest" });
  }
}

export function errorBox(error, onRetry) {
  return h("div", { class: "empty", role: "alert" },
    h("div", { class: "empty__icon" }, icon("alert")),
    h("p", { class: "empty__title" }, error?.status === 403 ? t("forbidden") : error?.status === 404 ? t("not_found") : t("load_failed")),
    h("p", { class: "empty__text" }, errorText(error)),
    error?.requestId ? h("p", { class: "faint small" }, `${t("request_id")}: `, h("code", null, error.requestId)) : null,
    onRetry ? h("button", { class: "btn", type: "button", onClick: onRetry }, icon("refresh", "icon--sm"), t("try_again")) : null);
}

export function errorText(error) {
  if (!error || error.code === "network") return t("network_error");
  return error.message || t("load_failed");
}

export function stateBadge(item) {
  if (item.status === "resolved") return h("span", { class: "badge badge--success" }, icon("check"), t("status_resolved"));
  if (item.handler === "bot") return h("span", { class: "badge badge--bot" }, icon("bot"), t("handler_bot"));
  if (!item.assignee) return h("span", { class: "badge badge--warning" }, icon("clock"), t("needs_person"));
  return h("span", { class: "badge badge--person" }, icon("user"), t("handler_person"));
}

function lastMark(last) {
  if (last.role === "contact") return null;
  return [icon(last.role === "bot" ? "bot" : last.role === "agent" ? "reply" : "info", "icon--sm conv__mark"), h("span", { class: "sr-only" }, `${t(`role_${last.role}`)}: `)];
}

function skeletonRow() {
  return h("li", { class: "conv", "aria-hidden": "true" }, h("span", { class: "skeleton skeleton--circle" }), h("span", { class: "conv__main stack--sm stack" }, h("span", { class: "skeleton skeleton--half" }), h("span", { class: "skeleton skeleton--long" }), h("span", { class: "skeleton skeleton--short" })));
}
