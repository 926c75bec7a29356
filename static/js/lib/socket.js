// A WebSocket that comes back: exponential back-off with full jitter, at once when the browser is online again.

const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 30_000;
const STABLE_AFTER_MS = 10_000;
const SILENT_OPEN_MS = 12_000;
const RESTART_CODE = 1012;
const BUSY_CODES = new Set([1013, 4429]);

/**
 * Events: "open", "frame" (detail: the parsed frame), "down" (detail: {code, retryInMs}), "refused" (detail: {code}).
 * A socket that opens but never gets `confirm()` is closed and tried again. Close codes in `fatal` end the trying.
 */
export class ReturningSocket extends EventTarget {
  constructor(url, { fatal = [4401, 4403] } = {}) {
    super();
    this.url = url;
    this.fatal = new Set(fatal);
    this.failures = 0;
    this.socket = null;
    this.stopped = true;
    this.timer = 0;
    addEventListener("online", () => this.retryNow());
  }

  start() {
    if (!this.stopped) return;
    this.stopped = false;
    this.connect();
  }

  stop() {
    this.stopped = true;
    clearTimeout(this.timer);
    this.drop();
  }

  /** Leaves the present connection, if any, and makes a new one now. */
  retryNow() {
    if (this.stopped || this.isOpen()) return;
    clearTimeout(this.timer);
    this.drop();
    this.connect();
  }

  restart() {
    this.stop();
    this.failures = 0;
    this.start();
  }

  isOpen() {
    return this.socket?.readyState === WebSocket.OPEN;
  }

  /** Sends a frame when connected; returns whether it was handed to the browser. */
  send(frame) {
    if (!this.isOpen()) return false;
    this.socket.send(JSON.stringify(frame));
    return true;
  }

  /** The server has answered sensibly: the connection counts as good. */
  confirm() {
    clearTimeout(this.silent);
    clearTimeout(this.stable);
    this.stable = setTimeout(() => { this.failures = 0; }, STABLE_AFTER_MS);
  }

  drop() {
    clearTimeout(this.silent);
    clearTimeout(this.stable);
    const socket = this.socket;
    this.socket = null;
    if (socket) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close();
    }
  }

  connect() {
    const socket = new WebSocket(this.url);
    this.socket = socket;
    this.silent = setTimeout(() => socket.close(), SILENT_OPEN_MS);
    socket.onopen = () => this.emit("open");
    socket.onmessage = (event) => this.receive(event.data);
    socket.onclose = (event) => this.closed(event.code);
  }

  receive(data) {
    let frame;
    try {
      frame = JSON.parse(data);
    } catch {
      return;
    }
    if (frame && typeof frame.type === "string") this.emit("frame", frame);
  }

  closed(code) {
    this.drop();
    if (this.stopped) return;
    if (this.fatal.has(code)) {
      this.stopped = true;
      this.emit("refused", { code });
      return;
    }
    const retryInMs = this.delay(code);
    this.failures += 1;
    this.timer = setTimeout(() => this.connect(), retryInMs);
    this.emit("down", { code, retryInMs });
  }

  delay(code) {
    if (code === RESTART_CODE && this.failures < 5) return 200 + Math.random() * 1300;
    const ceiling = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** this.failures);
    const floor = BUSY_CODES.has(code) ? 2000 : 100;
    return floor + Math.random() * ceiling;
  }

  emit(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}

export function socketUrl(path) {
  const url = new URL(path, location.href);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return url.href;
}
