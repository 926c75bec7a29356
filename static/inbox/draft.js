// The assistant's draft: ghost text that streams in, with the sentences that no document supports marked.

import { h, icon, replace } from "../js/lib/dom.js";
import { StreamText, countPoints, slicePoints } from "../js/lib/codepoints.js";
import { wordDiff } from "../js/lib/diff.js";
import { t } from "../js/lib/i18n.js";

export class DraftCard {
  /** `actions`: request(instruction), accept(), edit(), reject(). */
  constructor(actions) {
    this.actions = actions;
    this.id = "";
    this.state = "hidden";
    this.stream = new StreamText();
    this.marks = [];
    this.body = h("div", { class: "draft__text", dir: "auto" });
    this.status = h("span", { class: "draft__status", role: "status" });
    this.warning = h("div", { class: "draft__warning", role: "status", hidden: true });
    this.instruction = h("input", { class: "input", type: "text", maxlength: "500", "aria-label": t("draft_instruction"), placeholder: t("draft_instruction") });
    this.acceptButton = h("button", { class: "btn btn--primary btn--sm", type: "button", onClick: () => actions.accept() });
    this.editButton = h("button", { class: "btn btn--sm", type: "button", onClick: () => actions.edit() }, icon("pencil", "icon--sm"), t("draft_edit"));
    this.rejectButton = h("button", { class: "btn btn--ghost btn--sm", type: "button", onClick: () => actions.reject() }, t("draft_reject"), h("kbd", null, "Esc"));
    const again = h("button", { class: "btn btn--sm", type: "button", onClick: () => actions.request(this.instruction.value.trim()) }, icon("refresh", "icon--sm"), t("draft_again"));
    this.instruction.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.isComposing) return;
      event.preventDefault();
      actions.request(this.instruction.value.trim());
    });
    this.tools = h("div", { class: "draft__tools" }, this.acceptButton, this.editButton, this.rejectButton, h("span", { class: "grow" }), h("div", { class: "draft__again" }, this.instruction, again));
    this.diff = h("div", { class: "draft__diff", dir: "auto", hidden: true });
    this.card = h("section", { class: "draft", "aria-label": t("draft"), hidden: true }, h("div", { class: "draft__head" }, icon("sparkle", "icon--sm"), h("span", { class: "strong" }, t("draft")), this.status), this.body, this.warning, this.tools);
    this.element = h("div", null, this.card, this.diff);
  }

  isShown() { return this.state !== "hidden"; }
  isRunning() { return this.state === "running"; }
  isReady() { return this.state === "done"; }
  text() { return this.stream.text; }

  begin(instruction) {
    this.id = "";
    this.state = "running";
    this.stream = new StreamText();
    this.marks = [];
    this.confirmed = false;
    this.instruction.value = instruction;
    this.diff.hidden = true;
    this.card.hidden = false;
    this.render();
  }

  hide({ keepText = false } = {}) {
    this.state = "hidden";
    this.card.hidden = true;
    this.diff.hidden = true;
    if (!keepText) this.stream = new StreamText();
    this.id = "";
    this.original = keepText ? this.stream.text : "";
  }

  fail(code) {
    this.state = "failed";
    this.code = code;
    this.render();
  }

  receive(frame) {
    if (!this.isShown()) return;
    if (frame.type === "draft.start") {
      // Again for the same draft: its writer died, and another one begins afresh.
      if (this.id === frame.draft_id) [this.stream, this.marks] = [new StreamText(), []];
      this.id = frame.draft_id;
    }
    if (frame.draft_id !== this.id) return;
    if (frame.type === "draft.delta") this.stream.add(frame.offset, frame.text);
    if (frame.type === "draft.mark") this.marks = [...this.marks.filter((mark) => mark.start !== frame.start), frame].sort((a, b) => a.start - b.start);
    if (frame.type === "draft.end") this.end(frame);
    this.render();
  }

  end(frame) {
    if (frame.marks?.length) this.marks = [...frame.marks].sort((a, b) => a.start - b.start);
    if (frame.status === "done") {
      this.state = "done";
      // Pieces can be missing after a lost connection; the stored text is then the right one.
      if (frame.text && frame.text !== this.stream.text.trim()) {
        this.stream = new StreamText();
        this.stream.add(0, frame.text);
      }
    } else {
      this.state = "failed";
      this.code = frame.code || frame.status;
    }
  }

  unsupported() {
    return this.marks.filter((mark) => mark.supported === false).length;
  }

  /** Sending sentences that no document supports takes a second, deliberate press. */
  confirmAccept() {
    if (!this.isReady() || !this.id) return false;
    if (!this.unsupported() || this.confirmed) return true;
    this.confirmed = true;
    this.render();
    return false;
  }

  render() {
    const running = this.state === "running";
    this.card.setAttribute("aria-busy", String(running));
    replace(this.status, running ? [h("span", { class: "spinner" }), t("draft_running")] : this.state === "failed" ? [icon("alert", "icon--sm"), this.failText()] : t("draft_ready"));
    replace(this.body, this.segments(), running ? h("span", { class: "caret", "aria-hidden": "true" }) : null);
    this.body.hidden = !running && !this.stream.text;
    const unsupported = this.unsupported();
    this.warning.hidden = !unsupported;
    replace(this.warning, icon("alert", "icon--sm"), this.confirmed ? t("draft_confirm", { count: unsupported }) : t("draft_unsupported", { count: unsupported }));
    replace(this.acceptButton, this.confirmed ? t("draft_accept_anyway") : t("draft_accept"), h("kbd", null, "Tab"));
    this.acceptButton.disabled = this.state !== "done";
    this.editButton.disabled = !this.stream.text;
  }

  failText() {
    if (this.code === "offline") return t("network_error");
    if (this.code === "busy") return t("draft_busy");
    if (this.code === "cancelled") return t("draft_cancelled");
    return t("draft_failed");
  }

  segments() {
    const nodes = [];
    const text = this.stream.text;
    let at = 0;
    for (const mark of this.marks) {
      if (mark.start < at) continue;
      nodes.push(slicePoints(text, at, mark.start));
      const part = slicePoints(text, mark.start, mark.end);
      nodes.push(mark.supported ? h("span", { class: "draft__ok", title: passageTitle(mark) }, part) : h("mark", { class: "draft__bad", title: t("unsupported") }, part, icon("alert", "icon--sm"), h("span", { class: "sr-only" }, ` (${t("unsupported")})`)));
      at = mark.end;
    }
    if (at < countPoints(text)) nodes.push(slicePoints(text, at));
    return nodes;
  }

  toggleDiff(now) {
    this.diff.hidden = !this.diff.hidden;
    this.diffUpdate(now);
  }

  diffUpdate(now) {
    if (this.diff.hidden || !this.original) return;
    replace(this.diff, wordDiff(this.original, now).map((part) => (part.kind === "same" ? part.text : h(part.kind === "added" ? "ins" : "del", null, part.text))));
  }
}

function passageTitle(mark) {
  const passage = mark.passage;
  if (!passage) return t("supported");
  return typeof passage === "object" ? `${t("supported")}: ${passage.document || ""} ${passage.heading || ""}`.trim() : t("supported");
}
