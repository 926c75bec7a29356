// The text box of the visitor: Enter sends, Shift+Enter breaks the line, an input method's Enter does neither.

import { h, icon } from "../../js/lib/dom.js";
import { countPoints } from "../../js/lib/codepoints.js";
import { t } from "../../js/lib/i18n.js";

const COUNTER_FROM = 0.8;
const TALLEST_PX = 140;

export function composerElement({ maxLength, onSend, onTyping, onPerson }) {
  const box = h("textarea", { class: "composer__box", rows: "1", "aria-label": t("write_message"), placeholder: t("write_message"), enterkeyhint: "send", autocomplete: "off", dir: "auto" });
  const counter = h("span", { class: "composer__count", role: "status" });
  const send = h("button", { class: "composer__send", type: "submit", "aria-label": t("send"), title: t("send"), disabled: true }, icon("arrow-up"));
  const person = h("button", { class: "composer__person", type: "button", onClick: onPerson }, icon("user", "icon--sm"), h("span", null, t("talk_to_person")));
  const form = h("form", { class: "composer" }, h("div", { class: "composer__field" }, box, send), h("div", { class: "composer__foot" }, person, counter));

  const refresh = () => {
    const length = countPoints(box.value);
    send.disabled = !box.value.trim() || length > maxLength;
    counter.textContent = length > maxLength * COUNTER_FROM ? `${length} / ${maxLength}` : "";
    counter.classList.toggle("composer__count--over", length > maxLength);
    box.style.blockSize = "auto";
    box.style.blockSize = `${Math.min(box.scrollHeight, TALLEST_PX)}px`;
  };
  const submit = () => {
    const text = box.value.trim();
    if (send.disabled || !text) return;
    box.value = "";
    refresh();
    onSend(text);
  };
  box.addEventListener("input", () => {
    refresh();
    if (box.value.trim()) onTyping();
  });
  box.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
    event.preventDefault();
    submit();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    submit();
    box.focus();
  });

  return {
    element: form,
    focus: () => box.focus({ preventScroll: true }),
    text: () => box.value,
    setText(text) {
      box.value = text;
      refresh();
    },
    /** `state`: "bot" offers a person, "waiting" says that one was asked for, "person" hides the offer. */
    setPerson(state) {
      person.disabled = state === "waiting";
      person.hidden = state === "person";
      person.lastElementChild.textContent = state === "waiting" ? t("person_waiting") : t("talk_to_person");
    },
    setBlocked(blocked) {
      box.disabled = blocked;
      person.hidden = blocked;
    },
  };
}
