// The embed script of the chat widget: a launcher and a frame on somebody else's page. It has no dependency, touches
// nothing outside its own shadow root, needs no inline style, and talks to the frame by messages whose origin is checked.
(() => {
  "use strict";

  const script = document.currentScript || document.querySelector('script[data-token][src*="/widget.js"]');
  const waiting = window.nlpsuite;
  if (!script || (waiting && waiting.version)) return;

  const token = script.dataset.token || "";
  const origin = new URL(script.src).origin;
  const FRAME_TIMEOUT_MS = 10000;
  const MAX_TEXT = 1000;
  const MAX_TOKEN = 4096;

  const TEXTS = {
    en: { open: "Open chat", close: "Close chat", title: "Chat", unread: "unread", failed: "The chat cannot be shown on this page." },
    zh: { open: "打开聊天", close: "关闭聊天", title: "聊天", unread: "条未读", failed: "此页面无法显示聊天窗口。" },
  };

  const STYLE = `
    :host { all: initial; }
    * { box-sizing: border-box; }
    .launcher {
      position: fixed; inset-block-end: max(20px, env(safe-area-inset-bottom)); inset-inline-end: 20px; z-index: 2147483000;
      display: grid; place-items: center; inline-size: 56px; block-size: 56px; padding: 0; border: 0; border-radius: 50%;
      background: var(--accent, #4650dd); color: var(--on-accent, #fff); cursor: pointer;
      box-shadow: 0 2px 6px rgb(15 18 30 / 18%), 0 10px 28px rgb(15 18 30 / 22%); transition: transform 140ms ease;
    }
    .launcher:hover { transform: scale(1.05); }
    .launcher:focus-visible { outline: 3px solid var(--accent, #4650dd); outline-offset: 3px; }
    .launcher svg { grid-area: 1 / 1; inline-size: 26px; block-size: 26px; transition: opacity 140ms, transform 140ms; }
    .launcher .when-open, .launcher[aria-expanded="true"] .when-closed { opacity: 0; transform: rotate(-30deg) scale(.7); }
    .launcher[aria-expanded="true"] .when-open { opacity: 1; transform: none; }
    .badge {
      position: absolute; inset-block-start: -3px; inset-inline-end: -3px; min-inline-size: 22px; block-size: 22px; padding: 0 6px;
      border: 2px solid #fff; border-radius: 11px; background: #c42b24; color: #fff; font: 600 12px/18px system-ui, sans-serif;
    }
    .panel {
      position: fixed; inset-block-end: 92px; inset-inline-end: 20px; z-index: 2147483001; overflow: hidden;
      inline-size: min(400px, calc(100vw - 40px)); block-size: min(680px, calc(100vh - 116px)); border-radius: 16px; background: #fff;
      box-shadow: 0 0 0 1px rgb(15 18 30 / 8%), 0 4px 12px rgb(15 18 30 / 12%), 0 24px 64px rgb(15 18 30 / 24%);
      visibility: hidden; opacity: 0; transform: translateY(12px) scale(.985); transform-origin: bottom right;
      transition: opacity 140ms ease, transform 140ms ease, visibility 0s 140ms;
    }
    .panel.open { visibility: visible; opacity: 1; transform: none; transition: opacity 140ms ease, transform 140ms ease; }
    .panel.dark { background: #15171b; box-shadow: 0 0 0 1px rgb(255 255 255 / 12%), 0 24px 64px rgb(0 0 0 / 60%); }
    iframe { display: block; inline-size: 100%; block-size: 100%; border: 0; color-scheme: normal; }
    .failed { padding: 24px; color: #545964; font: 400 15px/1.5 system-ui, sans-serif; }
    [hidden] { display: none !important; }
    @media (max-width: 480px), (max-height: 480px) {
      .panel { inset: 0; inline-size: 100%; block-size: 100%; block-size: 100dvh; border-radius: 0; transform: translateY(24px); }
      .launcher[aria-expanded="true"] { visibility: hidden; }
    }
    @media (prefers-reduced-motion: reduce) { .panel, .launcher, .launcher svg { transition: none; } }
    @media print { .launcher, .panel { display: none; } }
  `;

  const listeners = new Map();
  const queue = [];
  let host, launcher, badge, panel, iframe, frameReady = false, isOpen = false, hasOpened = false, failTimer = 0;
  let locale = script.dataset.locale || "";

  const texts = () => ((locale || document.documentElement.lang || navigator.language || "en").toLowerCase().startsWith("zh") ? TEXTS.zh : TEXTS.en);

  function emit(name, detail) {
    document.dispatchEvent(new CustomEvent(`nlpsuite:${name}`, { bubbles: true, detail }));
    for (const fn of listeners.get(name) || []) {
      try {
        fn(detail);
      } catch (error) {
        setTimeout(() => { throw error; });
      }
    }
  }

  function svg(className, path) {
    const element = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    const attributes = { viewBox: "0 0 24 24", fill: "none", stroke: "currentColor", "stroke-width": "2", "stroke-linecap": "round", "stroke-linejoin": "round", "aria-hidden": "true", class: className };
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    const line = document.createElementNS("http://www.w3.org/2000/svg", "path");
    line.setAttribute("d", path);
    element.append(line);
    return element;
  }

  function build() {
    host = document.createElement("nlpsuite-chat");
    const root = host.attachShadow({ mode: "open" });
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(STYLE);
    root.adoptedStyleSheets = [sheet];

    launcher = document.createElement("button");
    launcher.type = "button";
    launcher.className = "launcher";
    launcher.setAttribute("aria-haspopup", "dialog");
    launcher.setAttribute("aria-expanded", "false");
    launcher.append(svg("when-closed", "M4 19.5V6.5a2 2 0 0 1 2-2h12a2 2 0 0 1 2 2v8a2 2 0 0 1-2 2H8.5L4 19.5ZM8.5 9h7M8.5 12.5h4.5"), svg("when-open", "M6 9.5l6 6 6-6"));
    launcher.addEventListener("click", toggle);
    badge = document.createElement("span");
    badge.className = "badge";
    badge.hidden = true;
    launcher.append(badge);

    panel = document.createElement("div");
    panel.className = "panel";
    panel.setAttribute("role", "dialog");
    root.append(panel, launcher);
    document.body.append(host);
    if (script.dataset.accent) accentSet(script.dataset.accent);
    label(0);
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && isOpen && !event.defaultPrevented) close();
    });
    (window.requestIdleCallback || ((fn) => setTimeout(fn, 600)))(frameMake, { timeout: 3000 });
  }

  function label(unread) {
    const text = texts();
    panel.setAttribute("aria-label", text.title);
    if (iframe) iframe.title = text.title;
    const name = isOpen ? text.close : text.open;
    launcher.setAttribute("aria-label", unread && !isOpen ? `${name} (${unread} ${text.unread})` : name);
    badge.hidden = isOpen || !unread;
    badge.textContent = unread > 9 ? "9+" : String(unread);
  }

  function accentSet(colour) {
    const match = /^#([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})$/i.exec(colour);
    if (!match) return;
    const [red, green, blue] = match.slice(1).map((hex) => {
      const channel = parseInt(hex, 16) / 255;
      return channel <= 0.03928 ? channel / 12.92 : ((channel + 0.055) / 1.055) ** 2.4;
    });
    const luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    host.style.setProperty("--accent", colour);
    // White as long as it keeps a contrast of 4.5:1.
    host.style.setProperty("--on-accent", luminance <= 0.183 ? "#ffffff" : "#14161a");
  }

  function frameMake() {
    if (iframe) return;
    const url = new URL("/widget/frame", origin);
    url.searchParams.set("token", token);
    url.searchParams.set("origin", location.origin);
    if (locale) url.searchParams.set("locale", locale);
    if (script.dataset.theme) url.searchParams.set("theme", script.dataset.theme);
    iframe = document.createElement("iframe");
    iframe.title = texts().title;
    iframe.allow = "clipboard-write";
    iframe.referrerPolicy = "no-referrer";
    iframe.src = url.href;
    panel.replaceChildren(iframe);
    failTimer = setTimeout(frameFailed, FRAME_TIMEOUT_MS);
  }

  function frameFailed() {
    if (frameReady || !isOpen) return;
    const note = document.createElement("p");
    note.className = "failed";
    note.textContent = texts().failed;
    panel.append(note);
    iframe.hidden = true;
    console.warn(`nlpsuite: the chat frame did not answer. Is ${location.origin} one of the inbox's allowed origins?`);
  }

  function post(message) {
    if (!frameReady) {
      queue.push(message);
      return;
    }
    iframe.contentWindow.postMessage({ nlpsuite: 1, ...message }, origin);
  }

  function open() {
    if (isOpen) return;
    isOpen = true;
    frameMake();
    if (!frameReady) {
      clearTimeout(failTimer);
      failTimer = setTimeout(frameFailed, FRAME_TIMEOUT_MS);
    }
    panel.classList.add("open");
    launcher.setAttribute("aria-expanded", "true");
    label(0);
    hasOpened = true;
    post({ type: "open" });
    iframe.focus();
    emit("opened");
  }

  function close() {
    if (!isOpen) return;
    isOpen = false;
    panel.classList.remove("open");
    launcher.setAttribute("aria-expanded", "false");
    label(0);
    post({ type: "close" });
    launcher.focus();
    emit("closed");
  }

  function toggle() {
    if (isOpen) close();
    else open();
  }

  const cut = (value) => (value === undefined || value === null ? undefined : String(value).slice(0, MAX_TEXT));

  const actions = {
    open,
    close,
    toggle,
    identify(id, details = {}) {
      if (id && typeof id === "object") {
        post({ type: "identify", identity: { token: String(id.token || "").slice(0, MAX_TOKEN) } });
        return;
      }
      post({ type: "identify", identity: { id: cut(id), email: cut(details.email), name: cut(details.name), hash: cut(details.hash) } });
    },
    setAttributes(attributes = {}) {
      const plain = {};
      for (const [key, value] of Object.entries(attributes).slice(0, 50)) plain[cut(key)] = cut(value);
      post({ type: "attributes", attributes: plain });
    },
    setLocale(value) {
      locale = cut(value) || "";
      label(0);
      post({ type: "locale", locale });
    },
    reset() {
      post({ type: "reset" });
    },
  };

  const fromFrame = {
    ready(data) {
      if (frameReady) return;
      frameReady = true;
      clearTimeout(failTimer);
      iframe.hidden = false;
      panel.querySelector(".failed")?.remove();
      if (typeof data.accent === "string" && !script.dataset.accent) accentSet(data.accent);
      for (const message of queue.splice(0)) post(message);
      emit("ready");
    },
    close,
    unread(data) {
      if (Number.isInteger(data.count)) label(Math.max(0, data.count));
    },
    theme(data) {
      panel.classList.toggle("dark", data.dark === true);
    },
    message(data) {
      emit("message", data.message);
    },
    identity(data) {
      emit("identity", { code: data.code });
    },
  };

  window.addEventListener("message", (event) => {
    if (!iframe || event.origin !== origin || event.source !== iframe.contentWindow) return;
    const data = event.data;
    if (!data || data.nlpsuite !== 1 || !Object.hasOwn(fromFrame, data.type)) return;
    fromFrame[data.type](data);
  });

  // Calls made before the page has a body wait for it; calls made before this script ran were left in an array.
  const early = Array.isArray(waiting) ? waiting : [];
  const whenBuilt = [];
  const api = { version: 1, isOpen: () => isOpen, hasOpened: () => hasOpened };
  for (const [name, action] of Object.entries(actions)) {
    api[name] = (...args) => {
      if (host) action(...args);
      else whenBuilt.push(() => action(...args));
      return api; // calls can be chained
    };
  }
  api.on = (name, fn) => {
    if (!listeners.has(name)) listeners.set(name, new Set());
    listeners.get(name).add(fn);
    return () => listeners.get(name).delete(fn);
  };
  api.push = (call) => {
    const [name, ...args] = Array.isArray(call) ? call : [call];
    if (name === "on" || Object.hasOwn(actions, name)) api[name](...args);
  };
  window.nlpsuite = api;

  function begin() {
    build();
    for (const call of whenBuilt.splice(0)) call();
    for (const call of early) api.push(call);
  }
  if (document.body) begin();
  else document.addEventListener("DOMContentLoaded", begin, { once: true });
})();
