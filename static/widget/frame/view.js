// The chat as the visitor sees it. It holds no protocol: main.js tells it what happened.

import { h, icon, iconButton, replace } from "../../js/lib/dom.js";
import { t } from "../../js/lib/i18n.js";
import { authorKey, dots, messageElement, pendingElement, pendingMark, streamElement, streamUpdate } from "./bubble.js";
import { composerElement } from "./composer.js";

const NEAR_END_PX = 80;
const BANNER_AFTER_MS = 1500;
const GATES = new Set(["identity_required", "identity_expired", "identity_invalid"]);

export class ChatView {
  /** `actions`: send(text), typing(), person(), close(), rate(id, value, comment), retry(clientId), csat(value). */
  constructor(root, { config, actions }) {
    this.root = root;
    this.config = config;
    this.actions = actions;
    this.messages = new Map();
    this.pending = new Map();
    this.streams = new Map();
    this.person = "bot";
    this.build();
  }

  /** (Re)builds everything in the present language and shows what is known. */
  build() {
    const typed = this.composer?.text() || "";
    const known = [...this.messages.values()].map((entry) => entry.message).sort((a, b) => a.seq - b.seq);
    const waiting = [...this.pending.values()].map((entry) => entry.entry);
    this.messages.clear();
    this.pending.clear();
    this.streams.clear();
    this.delayed = null;
    this.banner = h("div", { class: "banner", role: "status", hidden: true });
    this.log = h("ol", { class: "log", role: "log", "aria-live": "polite", "aria-relevant": "additions", "aria-label": t("messages") });
    this.intro = this.introElement();
    this.extra = h("div", { class: "extra" });
    this.scroller = h("div", { class: "scroller", tabindex: "-1" }, this.intro, this.log, this.extra);
    this.newer = h("button", { class: "newer", type: "button", hidden: true, onClick: () => this.scrollDown() }, icon("arrow-down", "icon--sm"), t("newer"));
    this.composer = composerElement({
      maxLength: this.config.max_length,
      onSend: (text) => this.actions.send(text),
      onTyping: () => this.actions.typing(),
      onPerson: () => this.actions.person(),
    });
    this.subtitle = h("div", { class: "head__status" });
    replace(this.root, this.headElement(), this.banner, h("div", { class: "middle" }, this.scroller, this.newer), this.composer.element);
    this.scroller.addEventListener("scroll", () => { if (this.nearEnd()) this.newer.hidden = true; }, { passive: true });
    for (const message of known) this.showMessage(message);
    for (const entry of waiting) this.showPending(entry);
    this.setPerson(this.person);
    this.composer.setText(typed);
    if (this.gateCode) this.setGate(this.gateCode);
  }

  headElement() {
    const letter = [...this.config.name][0] || "?";
    const close = iconButton("x", t("close"), { class: "btn btn--ghost btn--icon head__close", onClick: () => this.actions.close() });
    return h("header", { class: "head" }, h("div", { class: "head__mark", "aria-hidden": "true" }, letter), h("div", { class: "grow" }, h("h1", { class: "head__name truncate" }, this.config.name), this.subtitle), this.config.embedded ? close : null);
  }

  introElement() {
    const questions = this.config.suggested_questions.map((question) => h("li", null, h("button", { class: "suggestion", type: "button", onClick: () => this.actions.send(question) }, h("span", null, question), icon("chevron-right", "icon--sm"))));
    return h("section", { class: "intro" },
      h("p", { class: "intro__greeting", dir: "auto" }, this.config.greeting || t("greeting_default")),
      h("p", { class: "intro__note" }, t("intro_note")),
      questions.length ? h("ul", { class: "intro__list", "aria-label": t("suggested") }, questions) : null);
  }

  showMessage(message) {
    if (this.messages.has(message.id)) return;
    const stay = this.nearEnd();
    this.dropWaiting();
    if (message.role !== "contact") this.dropDelayed();
    const element = messageElement(message, {
      botName: this.config.name,
      onRate: (value, comment) => this.actions.rate(message.id, value, comment),
    });
    this.messages.set(message.id, { message, element });
    this.place(element, message.seq);
    this.afterChange(stay, message.role !== "contact");
  }

  /** Keeps the log in order of seq; unacknowledged messages and open replies stay last. */
  place(element, seq) {
    element.dataset.seq = String(seq);
    let before = null;
    for (let item = this.log.lastElementChild; item; item = item.previousElementSibling) {
      if (item.dataset.seq !== undefined && Number(item.dataset.seq) < seq) break;
      before = item;
    }
    this.log.insertBefore(element, before);
    this.groupMark(element);
    if (element.nextElementSibling) this.groupMark(element.nextElementSibling);
  }

  /** Consecutive messages of one author share one author line. */
  groupMark(element) {
    const previous = element.previousElementSibling;
    element.classList.toggle("msg--same", Boolean(previous && element.dataset.author && previous.dataset.author === element.dataset.author));
  }

  showPending(entry) {
    const stay = this.nearEnd();
    const element = pendingElement(entry, { onRetry: () => this.actions.retry(entry.client_id) });
    element.dataset.author = authorKey({ role: "contact" });
    this.pending.set(entry.client_id, { entry, element });
    this.log.append(element);
    this.groupMark(element);
    this.afterChange(stay || true);
  }

  pendingChanged(entry, reason) {
    const held = this.pending.get(entry.client_id);
    if (held) pendingMark(held.element, entry, { reason, onRetry: () => this.actions.retry(entry.client_id) });
  }

  /** The server has the message: the waiting bubble becomes the message, unless that was shown already. */
  acknowledge(entry, message) {
    const held = this.pending.get(entry.client_id);
    this.pending.delete(entry.client_id);
    if (held) held.element.remove();
    this.showMessage(message);
  }

  /** Shows dots until the reply's first piece; nothing is promised once a person has taken over. */
  showWaiting() {
    if (this.waiting || this.streams.size || this.person === "person") return;
    this.waiting = h("li", { class: "msg msg--bot msg--wait" }, h("div", { class: "bubble" }, dots()));
    this.log.append(this.waiting);
    this.afterChange(true);
    this.waitingTimer = setTimeout(() => this.dropWaiting(), 30_000);
  }

  dropWaiting() {
    clearTimeout(this.waitingTimer);
    this.waiting?.remove();
    this.waiting = null;
  }

  showStream(replyId, text) {
    const stay = this.nearEnd();
    this.dropWaiting();
    if (text) this.dropDelayed();
    let element = this.streams.get(replyId);
    if (!element) {
      element = streamElement(replyId, this.config.name);
      this.streams.set(replyId, element);
      this.log.append(element);
      this.groupMark(element);
    }
    streamUpdate(element, text);
    this.afterChange(stay);
  }

  dropStream(replyId) {
    this.dropDelayed();
    this.streams.get(replyId)?.remove();
    this.streams.delete(replyId);
  }

  /** A line of ours, not a message: what went wrong and what to do. */
  showNotice(text, action) {
    const stay = this.nearEnd();
    this.dropWaiting();
    this.log.append(this.noticeElement(text, action));
    this.afterChange(stay);
  }

  noticeElement(text, action) {
    return h("li", { class: "line line--notice" }, h("span", null, text), action ? h("button", { class: "textlink", type: "button", onClick: action.run }, action.label) : null);
  }

  /** Nothing has been said for a while: say so once, and offer a person. The log is a live region, so it is read out. */
  showDelayed() {
    if (this.delayed || this.person !== "bot") return;
    this.delayed = this.noticeElement(t("reply_delayed"), { label: t("talk_to_person"), run: () => this.actions.person() });
    this.log.append(this.delayed);
    this.botSubtitle();
    this.afterChange(true);
  }

  dropDelayed() {
    if (!this.delayed) return;
    this.delayed.remove();
    this.delayed = null;
    if (this.person === "bot") this.botSubtitle();
  }

  /** The header says what the log says: no answer is promised at once while one is late. */
  botSubtitle() {
    this.setSubtitle(t(this.delayed ? "status_bot_late" : "status_bot"), this.delayed ? "waiting" : "bot");
  }

  showTyping(name) {
    clearTimeout(this.typingTimer);
    this.setSubtitle(t("person_typing", { name: name || t("agent") }));
    this.typingTimer = setTimeout(() => this.setPerson(this.person), 4000);
  }

  setPerson(state, name = this.personName) {
    this.person = state;
    if (state !== "bot") this.dropDelayed();
    this.personName = name;
    this.composer.setPerson(state);
    if (state === "person") this.setSubtitle(name ? t("with_person", { name }) : t("with_someone"), "person");
    else if (state === "waiting") this.setSubtitle(t("person_waiting_long"), "waiting");
    else this.botSubtitle();
  }

  setSubtitle(text, kind = "person") {
    replace(this.subtitle, h("span", { class: `dot ${kind === "waiting" ? "" : "dot--on"}` }), text);
  }

  /** `state` as the connection names it, `code` why it was refused. Short drops are not worth a banner. */
  setConnection(state, code) {
    clearTimeout(this.bannerTimer);
    this.setGate(state === "refused" && GATES.has(code) ? code : "");
    if (state === "online" || state === "connecting") {
      this.banner.hidden = true;
      this.composer.setBlocked(false);
      return;
    }
    const show = () => {
      this.banner.className = `banner ${state === "refused" ? "banner--danger" : ""}`;
      replace(this.banner, icon("wifi-off", "icon--sm"), state === "refused" ? t("refused") : navigator.onLine ? t("reconnecting") : t("offline"));
      this.banner.hidden = Boolean(this.gate);
    };
    if (state === "refused") show();
    else this.bannerTimer = setTimeout(show, BANNER_AFTER_MS);
    this.composer.setBlocked(state === "refused");
  }

  /** In place of the chat: who is not signed in on the page is told so, instead of a composer that refuses. */
  setGate(code) {
    this.gateCode = code;
    this.gate?.remove();
    this.gate = code ? h("section", { class: "gate", role: "alert" }, icon("key"), h("h2", { class: "gate__title" }, t(`${code}_title`)), h("p", { class: "gate__text" }, t(code))) : null;
    this.composer.element.hidden = Boolean(code);
    this.scroller.hidden = Boolean(code);
    if (this.gate) this.scroller.before(this.gate);
  }

  setLoading(loading) {
    const bubble = (side, size) => h("li", { class: `msg msg--${side}` }, h("span", { class: `skeleton skeleton--block ${size}` }));
    this.skeleton?.remove();
    this.skeleton = loading ? h("ol", { class: "log", "aria-hidden": "true" }, bubble("mine", "skeleton--half"), bubble("bot", "skeleton--long"), bubble("mine", "skeleton--short")) : null;
    if (this.skeleton) this.log.after(this.skeleton);
    this.intro.hidden = loading;
  }

  showCsat() {
    if (this.extra.childElementCount) return;
    const rate = (value) => {
      this.actions.csat(value);
      replace(this.extra, h("p", { class: "csat__thanks", role: "status" }, t("thanks")));
    };
    const stars = [1, 2, 3, 4, 5].map((value) => h("button", { type: "button", class: "csat__star", "aria-label": t("csat_value", { value }), title: t("csat_value", { value }), onClick: () => rate(value) }, icon("star")));
    replace(this.extra, h("div", { class: "csat", role: "group", "aria-label": t("csat_question") }, h("p", null, t("csat_question")), h("div", { class: "csat__stars" }, stars)));
    this.scrollDown();
  }

  dropCsat() {
    replace(this.extra);
  }

  isStarted() {
    return this.messages.size > 0 || this.pending.size > 0;
  }

  clear() {
    this.messages.clear();
    this.pending.clear();
    this.person = "bot";
    this.build();
  }

  nearEnd() {
    return this.scroller.scrollHeight - this.scroller.scrollTop - this.scroller.clientHeight < NEAR_END_PX;
  }

  afterChange(stay, announce = false) {
    this.intro.classList.toggle("intro--small", this.isStarted());
    this.intro.hidden = false;
    if (stay) this.scrollDown();
    else if (announce) this.newer.hidden = false;
  }

  scrollDown() {
    this.scroller.scrollTop = this.scroller.scrollHeight;
    this.newer.hidden = true;
  }
}
