// The agent console: wires the panes to the API, the socket and the keyboard.

import { apiCall } from "../js/lib/api.js";
import { h, icon, iconButton, replace } from "../js/lib/dom.js";
import { i18nLoad, jsonRead, t } from "../js/lib/i18n.js";
import { timesRefresh } from "../js/lib/time.js";
import { toast } from "../js/lib/toast.js";
import { Aside } from "./aside.js";
import { Composer } from "./composer.js";
import { Conversations } from "./conversations.js";
import { ListPane, errorBox, errorText } from "./list.js";
import { Live } from "./live.js";
import { Palette, helpFill } from "./palette.js";
import { Store, VIEWS, contactName } from "./store.js";
import { ThreadPane } from "./thread.js";
import { Translating } from "./translating.js";

const TIMES_EVERY_MS = 30_000;
const SEARCH_AFTER_MS = 250;
const ROLES = new Set(["owner", "admin", "agent"]);

const root = document.getElementById("inbox");
const part = (name) => root.querySelector(`[data-part="${name}"]`);
i18nLoad(jsonRead("i18n"), document.documentElement.lang);

async function begin() {
  let me;
  try {
    me = await apiCall("GET", "/accounts/me");
  } catch (error) {
    replace(root, errorBox(error, () => location.reload()));
    return;
  }
  if (me.role && !ROLES.has(me.role)) {
    replace(root, errorBox({ status: 403, message: t("forbidden_text") }));
    return;
  }
  new Console(new Store({ ...me, name: me.name || me.email })).start();
}

class Console {
  constructor(store) {
    this.store = store;
    this.sentDrafts = new Map();
    this.translating = new Translating(store);
    this.live = new Live({
      message: (frame) => this.work.messageArrived(frame),
      "message.annotated": (frame) => this.work.messageAnnotated(frame),
      conversation: (frame) => this.work.conversationHeard(frame.conversation),
      subscribed: (frame) => {
        if (!frame.conversation_id) return;
        this.live.watched = frame.conversation_id;
        this.work.annotationsLoad(frame.conversation_id);
      },
      "reply.start": (frame) => this.work.replyPiece(frame),
      "reply.delta": (frame) => this.work.replyPiece(frame),
      "reply.end": (frame) => this.work.replyEnded(frame),
      "draft.start": (frame) => this.composer.draftFrame(frame),
      "draft.delta": (frame) => this.composer.draftFrame(frame),
      "draft.mark": (frame) => this.composer.draftFrame(frame),
      "draft.end": (frame) => this.composer.draftFrame(frame),
      typing: (frame) => this.typingShow(frame),
      "draft.decided": (frame) => this.draftDecided(frame),
      error: (frame) => this.problemShow(frame),
    }, (id) => (store.timeline(id).loaded ? store.timeline(id).lastSeq : 0));
    this.work = new Conversations(store, this.live, { failed: (text, error) => this.failed(text, error) });
    this.list = new ListPane(part("list"), store, {
      open: (id) => this.open(id),
      more: () => this.work.listMore(),
      retry: () => this.work.listLoad(),
      clearSearch: () => this.searchSet(""),
    });
    this.thread = new ThreadPane(part("thread"), store, this.translating, {
      why: (message) => this.why(message),
      earlier: () => this.work.earlierLoad((change) => this.thread.keepPosition(change)),
      retry: () => this.work.timelineLoad(store.openId),
      resend: (entry) => this.work.resend(entry),
      discard: (entry) => this.work.discard(entry),
    });
    this.composer = new Composer(part("composer"), store, this.translating, {
      send: (id, text, options) => this.send(id, text, options),
      draft: (frame) => this.live.send(frame),
      typing: (id) => this.live.send({ type: "typing", conversation_id: id }),
    });
    this.aside = new Aside(part("aside"), store, this.translating, {
      change: (id, patch, then) => this.work.change(id, patch, { then }),
      loadWhy: (messageId) => apiCall("GET", `/assistant/replies/${messageId}`),
      close: () => this.paneSet("thread"),
    });
    this.palette = new Palette(document.getElementById("palette"), () => this.commands());
    this.help = document.getElementById("help");
    helpFill(this.help, KEYS.map(([name, key]) => [name, t(key)]));
    this.bind();
  }

  bind() {
    const { store } = this;
    store.addEventListener("list", () => this.headRender());
    store.addEventListener("conversation", (event) => { if (event.detail === store.openId) this.threadHeadRender(); });
    this.live.addEventListener("up", (event) => this.connectionSet("online", event.detail.again));
    this.live.addEventListener("down", () => this.connectionSet("offline"));
    this.live.addEventListener("refused", () => this.connectionSet("refused"));
    root.addEventListener("click", (event) => {
      const view = event.target.closest("[data-view]");
      if (view && !event.metaKey && !event.ctrlKey) {
        event.preventDefault();
        this.viewSet(view.dataset.view);
      }
      if (event.target.closest("[data-open-palette]")) this.palette.open();
      if (event.target.closest("[data-open-help]")) this.help.showModal();
    });
    this.searchBox = part("search");
    this.searchBox.addEventListener("input", () => {
      clearTimeout(this.searchTimer);
      this.searchTimer = setTimeout(() => this.searchSet(this.searchBox.value.trim()), SEARCH_AFTER_MS);
    });
    const mood = part("mood");
    mood.addEventListener("change", () => {
      store.mood = mood.value;
      this.work.listLoad();
    });
    const meaning = part("meaning");
    meaning.addEventListener("click", () => {
      store.meaning = !store.meaning;
      meaning.setAttribute("aria-pressed", String(store.meaning));
      mood.disabled = store.meaning;
      if (store.search) this.work.listLoad();
      this.searchBox.focus();
    });
    this.searchBox.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      this.searchSet("");
      this.searchBox.blur();
    });
    addEventListener("popstate", () => this.fromAddress());
    document.addEventListener("keydown", (event) => this.keydown(event));
    document.addEventListener("visibilitychange", () => { if (document.visibilityState === "visible") this.work.seen(); });
    setInterval(() => timesRefresh(), TIMES_EVERY_MS);
  }

  start() {
    this.fromAddress({ first: true });
    this.live.start();
    this.work.membersLoad();
    this.translating.start();
  }

  fromAddress({ first = false } = {}) {
    const query = new URLSearchParams(location.search);
    const view = Object.hasOwn(VIEWS, query.get("view") || "") ? query.get("view") : "open";
    if (first || view !== this.store.view) {
      this.store.view = view;
      this.work.listLoad();
    }
    const id = query.get("c") || "";
    if (id) this.open(id, { push: false });
    else this.close({ push: false });
    this.headRender();
  }

  addressPush() {
    const query = new URLSearchParams();
    query.set("view", this.store.view);
    if (this.store.openId) query.set("c", this.store.openId);
    history.pushState(null, "", `${location.pathname}?${query}`);
  }

  viewSet(view) {
    this.store.view = view;
    this.list.cursorId = "";
    this.searchSet("", { load: false });
    this.work.listLoad();
    this.close({ push: false });
    this.addressPush();
    this.headRender();
  }

  searchSet(text, { load = true } = {}) {
    if (this.searchBox.value.trim() !== text) this.searchBox.value = text;
    if (this.store.search === text) return;
    this.store.search = text;
    if (load) this.work.listLoad();
  }

  open(id, { push = true } = {}) {
    const { store } = this;
    if (store.openId !== id) {
      store.openId = id;
      this.list.cursorId = id;
      store.emit("open", id);
      this.live.watch(id);
      this.work.timelineLoad(id);
      if (push) this.addressPush();
    }
    this.paneSet("thread");
    this.threadHeadRender();
    this.aside.render();
  }

  close({ push = true } = {}) {
    this.store.openId = "";
    this.live.watch("");
    this.store.emit("open", "");
    this.paneSet("list");
    this.threadHeadRender();
    if (push) this.addressPush();
  }

  /** Which pane a phone shows; wide screens show all. */
  paneSet(pane) {
    root.dataset.pane = pane;
    document.body.dataset.pane = pane;
    root.dataset.open = String(Boolean(this.store.openId));
  }

  headRender() {
    for (const link of root.querySelectorAll("[data-view]")) {
      if (link.dataset.view === this.store.view) {
        link.setAttribute("aria-current", "page");
        link.scrollIntoView({ block: "nearest", inline: "nearest" });
      }
      else link.removeAttribute("aria-current");
    }
    part("view-title").textContent = t(`view_${this.store.view}`);
  }

  threadHeadRender() {
    const item = this.store.conversation();
    const head = part("head");
    if (!item) {
      replace(head);
      return;
    }
    const mine = item.assignee?.id === this.store.me.id;
    const bot = item.handler === "bot";
    const resolved = item.status === "resolved";
    const focusKey = document.activeElement?.dataset?.action;
    replace(head,
      iconButton("arrow-left", t("back_to_list"), { class: "btn btn--ghost btn--icon only-narrow", onClick: () => this.close() }),
      h("div", { class: "grow" }, h("h1", { class: "head__title truncate" }, contactName(item, t)), h("div", { class: "head__sub truncate" }, resolved ? t("status_resolved") : bot ? t("bot_answers") : item.assignee ? t("assigned_to", { name: mine ? t("me") : item.assignee.name }) : t("needs_person_long"))),
      bot && !resolved ? button("primary", "user", t("take_over"), "take", () => this.takeOver()) : null,
      !bot && !mine && !resolved ? button("primary", "user", t("assign_me"), "assign", () => this.assignMe()) : null,
      !bot && !resolved ? button("", "bot", t("give_back"), "give", () => this.giveBack()) : null,
      resolved ? button("", "undo", t("reopen"), "resolve", () => this.work.change(item.id, { status: "open" })) : button("", "check", t("resolve"), "resolve", () => this.resolve()),
      iconButton("panel", t("details"), { dataset: { action: "details" }, onClick: () => this.detailsToggle() }));
    if (focusKey) head.querySelector(`[data-action="${focusKey}"]`)?.focus();
  }

  detailsToggle() {
    this.aside.closeWhy();
    if (matchMedia("(max-width: 75rem)").matches) this.paneSet(root.dataset.pane === "aside" ? "thread" : "aside");
    else root.classList.toggle("inbox--no-aside");
  }

  why(message) {
    root.classList.remove("inbox--no-aside");
    this.paneSet("aside");
    this.aside.showWhy(message);
  }

  send(id, text, { private: note, draft, target }) {
    // A translated draft is not what was drafted: it goes as a reply, and the draft is put away.
    if (draft && target) this.live.send({ type: "draft.reject", draft_id: draft.id });
    else if (draft) {
      const frame = draft.text.trim() === text ? { type: "draft.accept" } : { type: "draft.edit", text };
      if (this.live.send({ ...frame, draft_id: draft.id })) {
        this.sentDrafts.set(draft.id, { id, text });
        return;
      }
    }
    this.work.send(id, text, note, target);
  }

  takeOver() {
    const item = this.store.conversation();
    if (!item) return;
    this.work.change(item.id, { handler: "person", assignee_id: this.store.me.id });
    this.composer.focus(false);
  }

  assignMe() {
    const item = this.store.conversation();
    if (item && item.assignee?.id !== this.store.me.id) this.work.change(item.id, { assignee_id: this.store.me.id });
  }

  giveBack() {
    const item = this.store.conversation();
    if (item) this.work.change(item.id, { handler: "bot", assignee_id: null }, { done: t("given_back"), undo: { handler: "person", assignee_id: item.assignee?.id || null } });
  }

  resolve() {
    const item = this.store.conversation();
    if (!item) return;
    if (item.status === "resolved") this.work.change(item.id, { status: "open" });
    else this.work.change(item.id, { status: "resolved" }, { done: t("resolved_done"), undo: { status: item.status } });
  }

  typingShow(frame) {
    const item = this.store.conversation();
    if (!item || frame.conversation_id !== item.id) return;
    this.thread.showTyping(frame.role === "contact" ? contactName(item, t) : t("colleague"));
  }

  draftDecided(frame) {
    this.sentDrafts.delete(frame.draft_id);
    if (frame.message) this.work.draftSent(frame.message);
  }

  problemShow(frame) {
    const sent = this.sentDrafts.get(frame.draft_id);
    if (sent) {
      // The draft could not be decided, for instance because it was still being written: the text goes as a reply.
      this.sentDrafts.delete(frame.draft_id);
      this.work.send(sent.id, sent.text, false);
    } else if (this.composer.draft.isShown() && frame.conversation_id === this.store.openId) this.composer.draft.fail(frame.code);
    else if (frame.draft_id) return;
    else toast(frame.message || t("load_failed"), { danger: true, closeLabel: t("close") });
  }

  failed(text, error) {
    const id = error?.requestId ? ` (${error.requestId})` : "";
    toast(`${text} ${errorText(error)}${id}`, { danger: true, closeLabel: t("close") });
  }

  connectionSet(state, again = false) {
    const banner = part("banner");
    clearTimeout(this.bannerTimer);
    if (state === "online") {
      banner.hidden = true;
      if (again) this.work.catchUp();
      return;
    }
    this.bannerTimer = setTimeout(() => {
      replace(banner, icon("wifi-off", "icon--sm"), state === "refused" ? t("signed_out") : t("offline"), state === "refused" ? h("a", { href: location.href }, t("reload")) : null);
      banner.hidden = false;
    }, state === "refused" ? 0 : 1500);
  }

  commands() {
    const item = this.store.conversation();
    const views = Object.keys(VIEWS).map((view) => ({ label: t("go_to", { name: t(`view_${view}`) }), icon: "inbox", run: () => this.viewSet(view) }));
    const own = item ? [
      { label: t("reply"), icon: "reply", keys: "R", run: () => this.composer.focus(false) },
      { label: t("add_note"), icon: "note", keys: "N", run: () => this.composer.focus(true) },
      { label: t("draft_with_ai"), icon: "sparkle", keys: "D", run: () => this.composer.requestDraft("") },
      item.handler === "bot" ? { label: t("take_over"), icon: "user", run: () => this.takeOver() } : { label: t("give_back"), icon: "bot", run: () => this.giveBack() },
      { label: t("assign_me"), icon: "user", keys: "A", run: () => this.assignMe() },
      { label: item.status === "resolved" ? t("reopen") : t("resolve"), icon: "check", keys: "E", run: () => this.resolve() },
    ] : [];
    const found = this.store.ids.slice(0, 50).map((id) => this.store.conversations.get(id)).map((other) => ({ label: `${contactName(other, t)}: ${other.last_message?.text || ""}`.slice(0, 90), icon: "chat", run: () => this.open(other.id) }));
    return [...own, ...views, { label: t("search"), icon: "search", keys: "/", run: () => this.searchBox.focus() }, { label: t("keys_title"), icon: "help", keys: "?", run: () => this.help.showModal() }, ...found];
  }

  keydown(event) {
    if ((event.metaKey || event.ctrlKey) && event.key.toLowerCase() === "k") {
      event.preventDefault();
      this.palette.open();
      return;
    }
    if (event.metaKey || event.ctrlKey || event.altKey || event.isComposing || document.querySelector("dialog[open]")) return;
    if (event.target.closest("input, textarea, select, [contenteditable]")) return;
    const item = this.store.conversation();
    const keys = {
      j: () => this.list.move(1),
      k: () => this.list.move(-1),
      "/": () => this.searchBox.focus(),
      "?": () => this.help.showModal(),
      Escape: () => this.escape(),
    };
    if (item) {
      Object.assign(keys, {
        r: () => this.composer.focus(false),
        n: () => this.composer.focus(true),
        a: () => this.assignMe(),
        e: () => this.resolve(),
        d: () => this.composer.requestDraft(""),
      });
    }
    const run = keys[event.key];
    if (!run) return;
    event.preventDefault();
    run();
  }

  escape() {
    if (this.composer.draft.isShown()) this.composer.rejectDraft();
    else if (this.aside.why) this.aside.closeWhy();
    else if (root.dataset.pane === "aside") this.paneSet("thread");
    else if (this.store.openId) this.close();
  }
}

const KEYS = [["j", "key_next"], ["k", "key_previous"], ["Enter", "key_open"], ["r", "key_reply"], ["n", "key_note"], ["d", "key_draft"], ["Tab", "key_accept"], ["Esc", "key_escape"], ["a", "key_assign"], ["e", "key_resolve"], ["/", "key_search"], ["Ctrl K", "key_palette"], ["?", "key_help"]];

function button(kind, name, label, action, run) {
  return h("button", { class: `btn ${kind ? `btn--${kind}` : ""} head__action`, type: "button", title: label, "aria-label": label, dataset: { action }, onClick: run }, icon(name, "icon--sm"), h("span", null, label));
}

begin();
