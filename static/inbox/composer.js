// Where an agent writes: reply or private note, and the draft that the assistant offers.

import { h, icon, replace } from "../js/lib/dom.js";
import { t } from "../js/lib/i18n.js";
import { DraftCard } from "./draft.js";
import { languageName } from "./insights.js";

const TALLEST_PX = 240;
const TYPING_EVERY_MS = 3000;

export class Composer {
  /** `actions`: send(conversationId, text, {private, draft, target}), draft(frame), typing(conversationId), failed(text). */
  constructor(root, store, translating, actions) {
    this.translating = translating;
    this.root = root;
    this.store = store;
    this.actions = actions;
    this.private = false;
    this.kept = new Map();
    this.conversationId = "";
    this.typedAt = 0;
    this.draft = new DraftCard({ request: (instruction) => this.requestDraft(instruction), accept: () => this.acceptDraft(), edit: () => this.editDraft(), reject: () => this.rejectDraft() });
    this.build();
    store.addEventListener("open", () => this.switchTo(store.openId));
    for (const [source, name] of [[store, "open"], [store, "conversation"], [translating, "reading"]]) source.addEventListener(name, () => this.targetShow());
  }

  build() {
    this.box = h("textarea", { class: "reply__box", rows: "2", dir: "auto", onInput: () => this.changed(), onKeydown: (event) => this.keydown(event) });
    this.replyTab = h("button", { type: "button", onClick: () => this.setPrivate(false, true) }, t("reply"));
    this.noteTab = h("button", { type: "button", onClick: () => this.setPrivate(true, true) }, t("note"));
    this.sendButton = h("button", { class: "btn btn--primary", type: "submit", disabled: true });
    this.draftButton = h("button", { class: "btn btn--ghost", type: "button", title: t("key_hint", { key: "D" }), onClick: () => this.requestDraft("") }, icon("sparkle"), t("draft_with_ai"));
    this.changes = h("button", { class: "btn btn--ghost btn--sm", type: "button", hidden: true, onClick: () => this.draft.toggleDiff(this.box.value) }, icon("layers", "icon--sm"), t("draft_changes"));
    this.targetBox = h("input", { type: "checkbox", checked: true });
    this.targetName = h("span", null);
    this.targetChoice = h("label", { class: "reply__target small", hidden: true }, this.targetBox, this.targetName);
    const form = h("form", { class: "reply", onSubmit: (event) => { event.preventDefault(); this.send(); } },
      h("div", { class: "reply__head" }, h("div", { class: "segmented", role: "group", "aria-label": t("message_kind") }, this.replyTab, this.noteTab), h("span", { class: "grow" }), this.changes),
      this.draft.element,
      this.box,
      h("div", { class: "reply__foot" }, this.draftButton, this.targetChoice, h("span", { class: "grow" }), h("span", { class: "reply__hint faint" }, t("send_hint")), this.sendButton));
    this.form = form;
    replace(this.root, form);
    this.setPrivate(false);
  }

  /** Each conversation keeps its own unsent text. */
  switchTo(conversationId) {
    if (conversationId === this.conversationId) return;
    if (this.conversationId) this.kept.set(this.conversationId, { text: this.box.value, private: this.private });
    this.draft.hide();
    this.editing = null;
    this.conversationId = conversationId;
    const kept = this.kept.get(conversationId) || { text: "", private: false };
    this.box.value = kept.text;
    this.setPrivate(kept.private);
    this.changed({ quiet: true });
  }

  setPrivate(value, focus = false) {
    this.private = value;
    this.form.classList.toggle("reply--note", value);
    this.replyTab.setAttribute("aria-pressed", String(!value));
    this.noteTab.setAttribute("aria-pressed", String(value));
    const label = value ? t("write_note") : t("write_reply");
    this.box.placeholder = label;
    this.box.setAttribute("aria-label", label);
    this.draftButton.hidden = value;
    this.targetShow();
    replace(this.sendButton, value ? t("add_note") : t("send"));
    if (focus) this.box.focus();
  }

  /** Offers to send in the visitor's language, where that is another one and can be written. */
  targetShow() {
    this.target = this.translating.replyTarget();
    this.targetChoice.hidden = this.private || !this.target;
    replace(this.targetName, this.target ? t("send_in", { language: languageName(this.target) }) : "");
  }

  focus(value = false) {
    this.setPrivate(value, true);
  }

  changed({ quiet = false } = {}) {
    this.sendButton.disabled = !this.box.value.trim();
    this.box.style.blockSize = "auto";
    this.box.style.blockSize = `${Math.min(this.box.scrollHeight + 2, TALLEST_PX)}px`;
    this.changes.hidden = !this.editing || this.editing.text === this.box.value;
    this.draft.diffUpdate(this.box.value);
    const now = Date.now();
    if (quiet || this.private || !this.box.value || now - this.typedAt < TYPING_EVERY_MS) return;
    this.typedAt = now;
    this.actions.typing(this.conversationId);
  }

  keydown(event) {
    if (event.isComposing || event.keyCode === 229) return;
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      this.send();
    } else if (event.key === "Tab" && !event.shiftKey && this.draft.isReady() && !this.box.value) {
      event.preventDefault();
      this.acceptDraft();
    } else if (event.key === "Escape" && this.draft.isShown()) {
      event.stopPropagation();
      this.rejectDraft();
    } else if (event.key === "Escape") {
      event.stopPropagation();
      this.box.blur();
    }
  }

  send() {
    const text = this.box.value.trim();
    if (!text || !this.conversationId) return;
    const draft = this.private ? null : this.editing;
    const target = this.private || !this.targetBox.checked ? "" : this.target;
    this.box.value = "";
    this.editing = null;
    this.draft.hide();
    this.changed({ quiet: true });
    this.actions.send(this.conversationId, text, { private: this.private, draft, target });
  }

  requestDraft(instruction) {
    if (!this.conversationId) return;
    if (this.draft.isShown()) this.dropDraft();
    this.setPrivate(false);
    this.editing = null;
    this.draft.begin(instruction);
    const sent = this.actions.draft({ type: "draft.request", conversation_id: this.conversationId, instruction: instruction || undefined });
    if (!sent) this.draft.fail("offline");
    this.box.focus();
  }

  acceptDraft() {
    if (!this.draft.confirmAccept()) return;
    this.actions.draft({ type: "draft.accept", draft_id: this.draft.id });
    this.draft.hide();
    this.box.focus();
  }

  editDraft() {
    if (!this.draft.id) return;
    if (this.draft.isRunning()) this.actions.draft({ type: "draft.cancel", draft_id: this.draft.id });
    this.editing = { id: this.draft.id, text: this.draft.text() };
    this.box.value = this.editing.text;
    this.draft.hide({ keepText: true });
    this.changed({ quiet: true });
    this.box.focus();
    this.box.setSelectionRange(this.box.value.length, this.box.value.length);
  }

  rejectDraft() {
    this.dropDraft();
    this.draft.hide();
    this.box.focus();
  }

  dropDraft() {
    const { id } = this.draft;
    if (!id) return;
    if (this.draft.isRunning()) this.actions.draft({ type: "draft.cancel", draft_id: id });
    this.actions.draft({ type: "draft.reject", draft_id: id });
  }

  /** A draft frame from the socket; those of conversations that are no longer open are dropped. */
  draftFrame(frame) {
    if (frame.conversation_id && frame.conversation_id !== this.conversationId) return;
    this.draft.receive(frame);
  }
}
