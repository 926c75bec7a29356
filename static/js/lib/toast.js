import { h } from "./dom.js";

const SHOWN_MS = 6000;
const AT_ONCE = 3;

/** A short message at the bottom of the page, with at most one action ({label, run}). Errors stay until closed. */
export function toast(text, { action = null, danger = false, closeLabel = "×" } = {}) {
  const region = document.getElementById("toasts");
  const element = h("div", { class: `toast ${danger ? "toast--danger" : ""}` }, h("span", { class: "toast__text" }, text));
  const close = () => element.remove();
  if (action) element.append(h("button", { type: "button", onClick: () => { close(); action.run(); } }, action.label));
  if (danger) element.append(h("button", { type: "button", onClick: close }, closeLabel));
  else setTimeout(close, SHOWN_MS);
  region.append(element);
  while (region.childElementCount > AT_ONCE) region.firstElementChild.remove();
  return close;
}
