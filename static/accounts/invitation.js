// The page behind an invitation's link. The token stands in the fragment, which the browser sends to no server; it goes
// into the tab's own storage, so that it outlives signing in and a change of language, and out of the address.

import { apiCall } from "../js/lib/api.js";
import { h, replace } from "../js/lib/dom.js";
import { i18nLoad, jsonRead, t } from "../js/lib/i18n.js";

const KEY = "nlpsuite.invitation";
const root = document.getElementById("invitation");
const { loginUrl, logoutUrl, resetUrl, mail } = root.dataset;
const SIGN_IN = `${loginUrl}?next=${encodeURIComponent(location.pathname)}`;
i18nLoad(jsonRead("i18n"), document.documentElement.lang);

function tokenTake() {
  const given = location.hash.slice(1);
  try {
    if (!given) return sessionStorage.getItem(KEY) || "";
    sessionStorage.setItem(KEY, given);
    history.replaceState(null, "", location.pathname);
  } catch {
    // Storage is switched off: the token stays in the address, and the link must be opened again after signing in.
  }
  return given;
}

function tokenForget() {
  try {
    sessionStorage.removeItem(KEY);
  } catch {
    // It was never kept.
  }
}

/** Shows one state: a title that takes the focus, and what follows it. */
function show(title, ...children) {
  const heading = h("h1", { tabindex: "-1" }, title);
  replace(root, heading, ...children);
  root.removeAttribute("aria-busy");
  document.title = `${title} · nlpsuite`;
  heading.focus();
}

const text = (value) => h("p", { class: "muted" }, value);
const link = (href, label, main = true) => h("a", { class: `btn btn--lg btn--block${main ? " btn--primary" : ""}`, href }, label);

const BUTTON = "btn btn--primary btn--lg btn--block";

function field(label, props, help) {
  const id = `invitation-${props.name}`;
  const helpId = help && `${id}-help`;
  return h(
    "div",
    { class: "field" },
    h("label", { for: id }, label),
    h("input", { id, "aria-describedby": helpId, ...props }),
    help && h("p", { class: "field__help", id: helpId }, help),
  );
}

function refusal(error) {
  if (error.code === "password_weak" || error.code === "password_required") return error.message;
  const known = ["network", "rate_limited", "members_full", "member_exists"].find((code) => code === error.code);
  return t(known ? `error_${known}` : "error_other", { request: error.requestId || error.code || "-" });
}

async function accept(token, found, body, form) {
  const button = form.querySelector("button[type=submit]");
  const alert = form.querySelector("[role=alert]");
  button.disabled = true;
  button.textContent = t("joining");
  alert.hidden = true;
  try {
    const done = await apiCall("POST", "/accounts/invitations/accept", { body: { token, ...body } });
    tokenForget();
    const next = done.signed_in ? done.url : loginUrl;
    show(t("done_title"), text(t(done.signed_in ? "done_text" : "done_sign_in", found)), link(next, t(done.signed_in ? "to_work" : "sign_in")));
    if (done.signed_in) location.assign(next);
  } catch (error) {
    // What the answer depends on has changed since the page asked: it asks again.
    if (["invitation_invalid", "sign_in_required", "wrong_account", "address_unproven", "csrf_failed"].includes(error.code)) {
      await begin(token);
      return;
    }
    alert.textContent = refusal(error);
    alert.hidden = false;
    button.disabled = false;
    button.textContent = t("join");
    form.querySelector("input[name=password]")?.focus();
  }
}

function form(token, found, fields) {
  const alert = h("p", { class: "alert alert--danger", role: "alert", hidden: true });
  const made = h("form", { novalidate: false }, ...fields, alert, h("button", { class: BUTTON, type: "submit" }, t("join")));
  made.addEventListener("submit", (event) => {
    event.preventDefault();
    const given = new FormData(made);
    const body = fields.length ? { name: given.get("name"), password: given.get("password") } : {};
    accept(token, found, body, made);
  });
  return made;
}

function newAccount(token, found) {
  const password = field(t("password"), { name: "password", type: "password", required: true, minlength: "10", maxlength: "200", autocomplete: "new-password" }, t("password_help"));
  const toggle = h("input", { type: "checkbox", id: "invitation-show", onChange: (event) => (password.querySelector("input").type = event.target.checked ? "text" : "password") });
  show(
    t("join_title", found),
    text(t("join_text", found)),
    form(token, found, [
      field(t("email"), { name: "email", type: "email", value: found.email, readonly: true, autocomplete: "username" }),
      field(t("name"), { name: "name", value: found.name, maxlength: "120", autocomplete: "name" }, t("name_help")),
      password,
      h("div", { class: "field field--check" }, toggle, h("label", { for: "invitation-show" }, t("password_show"))),
    ]),
  );
}

function wrongAccount(found) {
  const csrf = document.querySelector("meta[name=csrf-token]").content;
  const hidden = (name, value) => h("input", { type: "hidden", name, value });
  const out = h("form", { method: "post", action: logoutUrl }, hidden("csrfmiddlewaretoken", csrf), hidden("next", location.pathname), h("button", { class: BUTTON, type: "submit" }, t("sign_out")));
  show(t("wrong_title"), text(t("wrong_text", found)), out);
}

function unproven(found) {
  const way = mail
    ? [text(t("unproven_mail")), link(resetUrl, t("send_link"))]
    : [text(t("unproven_operator")), h("p", {}, h("code", {}, `manage.py account_verify ${found.email}`))];
  show(t("unproven_title"), text(t("unproven_text", found)), ...way);
}

const STATES = {
  new: newAccount,
  ready: (token, found) => show(t("join_title", found), text(t("ready_text", found)), form(token, found, [])),
  sign_in: (_, found) => show(t("sign_in_title", found), text(t("sign_in_text", found)), link(SIGN_IN, t("sign_in"))),
  wrong_account: (_, found) => wrongAccount(found),
  unproven: (_, found) => unproven(found),
};

function failed(token, error) {
  if (error.code === "invitation_invalid") {
    show(t("invalid_title"), text(t("invalid_text")), link(loginUrl, t("to_sign_in"), false));
    return;
  }
  // Somebody has signed in or out in another tab: the page needs its new CSRF token.
  const retry = () => (error.code === "csrf_failed" ? location.reload() : begin(token));
  const again = h("button", { class: BUTTON, type: "button", onClick: retry }, t("try_again"));
  show(t("error_title"), text(refusal(error)), again);
}

async function begin(token) {
  if (!token) {
    show(t("none_title"), text(t("none_text")), link(loginUrl, t("to_sign_in"), false));
    return;
  }
  root.setAttribute("aria-busy", "true");
  try {
    const found = await apiCall("POST", "/accounts/invitations/preview", { body: { token } });
    STATES[found.state](token, { ...found, role: t(`role_${found.role}`) });
  } catch (error) {
    failed(token, error);
  }
}

// Another link opened in this tab changes the fragment alone.
addEventListener("hashchange", () => location.hash && begin(tokenTake()));
begin(tokenTake());
