// Wires the parts of the frame: the page that embeds it, the socket, and the view.

import { accentApply } from "../../js/lib/accent.js";
import { i18nLoad, jsonRead, t } from "../../js/lib/i18n.js";
import { socketUrl } from "../../js/lib/socket.js";
import { Bridge } from "./bridge.js";
import { WidgetConnection } from "./connection.js";
import { FrameStorage } from "./storage.js";
import { ChatView } from "./view.js";

const config = jsonRead("config");
const catalogues = jsonRead("i18n");
const storage = new FrameStorage(config.token);
const bridge = new Bridge(config.origins, config.parent_origin);
const connection = new WidgetConnection({ url: socketUrl("/ws/widget"), token: config.token, storage, identityRequired: config.identity_required });
config.embedded = bridge.embedded;

let opened = !bridge.embedded;
let unread = 0;

function localeSet(wanted) {
  const code = String(wanted || "").toLowerCase();
  const name = Object.keys(catalogues).find((key) => code === key || code.split("-")[0] === key.split("-")[0]) || config.locale;
  i18nLoad(catalogues[name], name);
  document.documentElement.lang = name;
}

localeSet(storage.get("locale") || config.locale);
accentApply(document.documentElement, config.accent);

const view = new ChatView(document.getElementById("chat"), {
  config,
  actions: {
    send(text) {
      view.dropCsat();
      connection.sendText(text);
    },
    typing: () => connection.typing(),
    person() {
      connection.requestPerson();
      view.setPerson("waiting");
    },
    close: () => bridge.post("close"),
    rate: (id, value, comment) => connection.rate(id, value, comment),
    retry(clientId) {
      connection.retry(clientId);
      const entry = connection.outbox.find((item) => item.client_id === clientId);
      if (entry) view.pendingChanged(entry);
    },
    csat: (value) => connection.socket.send({ type: "csat", value }),
  },
});

function unreadSet(count) {
  unread = count;
  bridge.post("unread", { count });
}

function begin() {
  if (connection.hasHistory() && !connection.welcomed) view.setLoading(true);
  connection.start();
}

const listen = (source, handlers) => {
  for (const [name, handler] of Object.entries(handlers)) source.addEventListener(name, (event) => handler(event.detail));
};

listen(connection, {
  state({ state, code }) {
    view.setConnection(state, code);
    if (state === "offline" || state === "refused") view.setLoading(false);
  },
  welcome({ frame }) {
    view.setLoading(false);
    statusShow(frame.status ? frame : frame.conversation || {});
  },
  moved: () => view.clear(),
  message({ message, history }) {
    const fresh = !history && connection.welcomed && !view.messages.has(message.id);
    // One reply is active at a time: the bot's message ends whatever stream was still open.
    if (message.role === "bot") for (const id of [...view.streams.keys()]) view.dropStream(id);
    view.showMessage(message);
    if (message.role === "agent") view.setPerson("person", message.author?.name);
    if (message.decision === "handoff" && view.person === "bot") view.setPerson("waiting");
    if (!fresh || message.role === "contact") return;
    if (!opened) unreadSet(unread + 1);
    bridge.post("message", { message: { role: message.role, text: message.text, created_at: message.created_at } });
  },
  pending: ({ entry }) => view.showPending(entry),
  acked({ entry, id, seq }) {
    view.acknowledge(entry, { id, seq, role: "contact", text: entry.text, citations: [], created_at: entry.created_at });
    if (view.person === "bot") view.showWaiting();
  },
  undelivered: ({ entry, code }) => view.pendingChanged(entry, t(`error_${code}`) === `error_${code}` ? "" : t(`error_${code}`)),
  reply({ id, text, state, code, message }) {
    if (state === "open") {
      view.showStream(id, text);
      return;
    }
    view.dropStream(id);
    if (state !== "failed" || message) return;
    view.showNotice(code === "busy" ? t("reply_busy") : t("reply_failed"), { label: t("talk_to_person"), run: () => view.actions.person() });
  },
  typing: (frame) => { if (frame.role !== "contact") view.showTyping(view.personName); },
  status: statusShow,
  identity: ({ code }) => bridge.post("identity", { code }),
  problem({ code }) {
    if (code === "rate_limited") view.showNotice(t("error_rate_limited"));
  },
});

function statusShow({ status, handler, reply }) {
  if (reply === "delayed") view.showDelayed();
  // Who the person is, an agent's message tells; until one comes the visitor is waiting.
  if (handler === "person" && view.person !== "person") view.setPerson("waiting");
  else if (handler === "bot") view.setPerson("bot");
  if (status === "resolved") view.showCsat();
  else if (status) view.dropCsat();
}

listen(bridge, {
  open() {
    opened = true;
    unreadSet(0);
    begin();
    view.composer.focus();
    view.scrollDown();
  },
  close: () => { opened = false; },
  identify({ identity }) {
    if (identity?.id || identity?.token) connection.identify(identity);
  },
  attributes({ attributes }) {
    if (attributes && typeof attributes === "object") connection.setAttributes(attributes);
  },
  locale({ locale }) {
    localeSet(locale);
    storage.set("locale", locale);
    view.build();
  },
  reset() {
    storage.clear();
    location.reload();
  },
});

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !event.defaultPrevented) bridge.post("close");
});

for (const entry of connection.outbox) view.showPending(entry);
if (!bridge.embedded || connection.hasHistory() || connection.outbox.length) begin();
const dark = matchMedia("(prefers-color-scheme: dark)");
const themePost = () => bridge.post("theme", { dark: document.documentElement.dataset.theme ? document.documentElement.dataset.theme === "dark" : dark.matches });
dark.addEventListener("change", themePost);
themePost();
bridge.post("ready", { accent: config.accent });
