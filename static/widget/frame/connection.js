// The visitor's side of the socket protocol: hello, an outbox that survives reloads, gaps, resumed replies.

import { ReturningSocket } from "../../js/lib/socket.js";
import { StreamText } from "../../js/lib/codepoints.js";
import { randomId } from "../../js/lib/ids.js";

const OUTBOX_LIMIT = 50;
const TYPING_EVERY_MS = 3000;
const RETRY_SENDING_MS = 15_000;
/** Refusals that pass by themselves: the message stays in the outbox and is sent again. */
const PASSING = new Set(["unavailable", "busy", "rate_limited", "deadline_exceeded"]);

/** Refusals of a proof of who the visitor is. */
const IDENTITY_CODES = new Set(["identity_invalid", "identity_expired", "identity_required"]);

/**
 * Events (detail): "state" {state: connecting|online|offline|refused, code}, "welcome" {first}, "message" {message, history},
 * "pending" {entry}, "acked" {entry, id, seq}, "undelivered" {entry, code, message}, "reply" {id, text, state},
 * "typing", "status", "identity" {code}: a proof is missing or was refused, "problem" {code, message}.
 */
export class WidgetConnection extends EventTarget {
  constructor({ url, token, storage, identityRequired = false }) {
    super();
    this.token = token;
    this.storage = storage;
    /** Whether this inbox admits nobody without a proof: there is no hello without one then. */
    this.identityRequired = identityRequired;
    this.identity = storage.get("identity");
    this.attributes = null;
    this.lastSeq = 0;
    this.welcomed = false;
    /** Messages up to here were written before this page was opened. */
    this.historySeq = 0;
    this.replies = new Map();
    this.outbox = storage.get("outbox", []);
    this.typingSentAt = 0;
    this.socket = new ReturningSocket(url);
    this.socket.addEventListener("open", () => this.hello());
    this.socket.addEventListener("frame", (event) => this.receive(event.detail));
    this.socket.addEventListener("down", (event) => this.emit("state", { state: "offline", ...event.detail }));
    this.socket.addEventListener("refused", (event) => this.onRefused(event.detail));
  }

  start() {
    this.started = true;
    if (this.identityRequired && !this.identity) {
      this.emit("state", { state: "refused", code: this.identityCode || "identity_required" });
      return;
    }
    this.emit("state", { state: "connecting" });
    this.socket.start();
  }

  hasHistory() {
    return Boolean(this.storage.get("visitor_token"));
  }

  hello() {
    this.ready = false;
    this.socket.send({
      type: "hello",
      widget_token: this.token,
      visitor_token: this.storage.get("visitor_token") || undefined,
      conversation_id: this.storage.get("conversation_id") || undefined,
      after_seq: this.lastSeq,
      identity: this.identity || undefined,
      attributes: this.attributes || undefined,
      locale: document.documentElement.lang || undefined,
    });
  }

  receive(frame) {
    const handler = HANDLERS[frame.type];
    if (handler) handler.call(this, frame);
  }

  /** Puts the text into the outbox; it is sent now or when the connection is back, once, whatever happens. */
  sendText(text) {
    const entry = { client_id: randomId(), text, created_at: new Date().toISOString() };
    this.outbox = [...this.outbox, entry].slice(-OUTBOX_LIMIT);
    this.storage.set("outbox", this.outbox);
    this.emit("pending", { entry });
    this.start();
    this.deliver(entry);
    return entry;
  }

  deliver(entry) {
    if (!this.ready) return;
    if (!this.socket.send({ type: "message", client_id: entry.client_id, text: entry.text })) return;
    clearTimeout(this.retryTimer);
    this.retryTimer = setTimeout(() => this.deliverAll(), RETRY_SENDING_MS);
  }

  deliverAll() {
    for (const entry of this.outbox) if (!entry.failed) this.deliver(entry);
  }

  retry(clientId) {
    const entry = this.outbox.find((item) => item.client_id === clientId);
    if (!entry) return;
    delete entry.failed;
    this.storage.set("outbox", this.outbox);
    this.deliver(entry);
  }

  outboxRemove(clientId) {
    const entry = this.outbox.find((item) => item.client_id === clientId);
    this.outbox = this.outbox.filter((item) => item !== entry);
    this.storage.set("outbox", this.outbox);
    if (!this.outbox.length) clearTimeout(this.retryTimer);
    return entry;
  }

  rate(messageId, value, comment) {
    return this.socket.send({ type: "rating", message_id: messageId, value, comment: comment || undefined });
  }

  requestPerson() {
    this.start();
    if (this.ready) return this.socket.send({ type: "handoff.request" });
    this.personWanted = true;
    return false;
  }

  typing() {
    const now = Date.now();
    if (!this.ready || now - this.typingSentAt < TYPING_EVERY_MS) return;
    this.typingSentAt = now;
    this.socket.send({ type: "typing" });
  }

  /** A token is a bearer's proof with an end: it is kept in memory, the page brings it again. */
  identify(identity) {
    this.identity = identity;
    this.identityCode = "";
    this.storage.set("identity", identity.token ? null : identity);
    if (this.socket.isOpen()) this.hello();
    else if (this.started) this.start();
  }

  setAttributes(attributes) {
    this.attributes = { ...this.attributes, ...attributes };
    if (this.socket.isOpen()) this.hello();
  }

  onWelcome(frame) {
    this.socket.confirm();
    const known = this.storage.get("conversation_id");
    if (frame.visitor_token) this.storage.set("visitor_token", frame.visitor_token);
    this.storage.set("conversation_id", frame.conversation_id);
    if (known && known !== frame.conversation_id && this.lastSeq) {
      // The server moved this visitor to another conversation: what is on screen belongs to the old one.
      this.lastSeq = 0;
      this.welcomed = false;
      this.emit("moved");
    }
    if (!this.welcomed) this.historySeq = frame.last_seq || 0;
    // What does not fit into the welcome (has_more) follows as messages, in order.
    for (const message of frame.messages || []) this.take(message);
    this.lastSeq = Math.max(this.lastSeq, frame.seq || 0);
    this.ready = true;
    const first = !this.welcomed;
    this.welcomed = true;
    this.emit("state", { state: "online" });
    this.emit("welcome", { first, frame });
    this.deliverAll();
    if (this.personWanted) {
      this.personWanted = false;
      this.requestPerson();
    }
    for (const [replyId, stream] of this.replies) this.socket.send({ type: "reply.resume", reply_id: replyId, offset: stream.points });
  }

  take(message) {
    this.lastSeq = Math.max(this.lastSeq, message.seq);
    // One reply is active at a time, and each ends in one message: a stream still open here was missed while away.
    if (message.role === "bot") this.replies.clear();
    this.emit("message", { message, history: message.seq <= this.historySeq });
  }

  /** A message that names an unseen predecessor means a gap: ask for everything after what is known. */
  onSequenced(message, previous) {
    if (!message) return;
    if (previous > this.lastSeq) {
      this.hello();
      return;
    }
    this.take(message);
  }

  onAck(frame) {
    const entry = this.outboxRemove(frame.client_id);
    // Only the very next number proves that nothing lies between; otherwise the next frame's prev_seq will tell.
    if (frame.seq === this.lastSeq + 1) this.lastSeq = frame.seq;
    if (entry) this.emit("acked", { entry, id: frame.message_id, seq: frame.seq });
  }

  onReplyStart(frame) {
    if (!this.replies.has(frame.reply_id)) this.replies.set(frame.reply_id, new StreamText());
    this.emit("reply", { id: frame.reply_id, text: this.replies.get(frame.reply_id).text, state: "open" });
  }

  onReplyDelta(frame) {
    if (!this.replies.has(frame.reply_id)) this.replies.set(frame.reply_id, new StreamText());
    const stream = this.replies.get(frame.reply_id);
    if (!stream.add(frame.offset, frame.text)) {
      this.socket.send({ type: "reply.resume", reply_id: frame.reply_id, offset: stream.points });
      return;
    }
    this.emit("reply", { id: frame.reply_id, text: stream.text, state: "open" });
  }

  onReplyEnd(frame) {
    const text = this.replies.get(frame.reply_id)?.text || "";
    this.replies.delete(frame.reply_id);
    this.emit("reply", { id: frame.reply_id, text, state: frame.status, code: frame.code, message: frame.message });
    this.onSequenced(frame.message, frame.prev_seq ?? 0);
  }

  onError(frame) {
    const entry = this.outbox.find((item) => item.client_id === frame.client_id);
    if (entry && PASSING.has(frame.code)) {
      setTimeout(() => this.deliverAll(), 1000 * (frame.retry_after_s || 2));
      return;
    }
    if (entry) {
      entry.failed = true;
      this.storage.set("outbox", this.outbox);
      this.emit("undelivered", { entry, code: frame.code, message: frame.message });
      return;
    }
    if (IDENTITY_CODES.has(frame.code)) {
      this.identityCode = frame.code;
      if (frame.code === "identity_required") this.identityRequired = true;
    }
    this.emit("problem", { code: frame.code, message: frame.message });
  }

  /** A wrong proof of identity must not close the chat for good: the visitor goes on without one, where that is allowed. */
  onRefused(detail) {
    const code = this.identityCode;
    if (code) {
      this.identity = null;
      this.storage.set("identity", null);
      this.emit("identity", { code });
      if (!this.identityRequired) this.identityCode = "";
      this.start();
      return;
    }
    this.emit("state", { state: "refused", ...detail });
  }

  emit(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}

const HANDLERS = {
  welcome: WidgetConnection.prototype.onWelcome,
  ack: WidgetConnection.prototype.onAck,
  message(frame) { this.onSequenced(frame.message, frame.prev_seq ?? 0); },
  "reply.start": WidgetConnection.prototype.onReplyStart,
  "reply.delta": WidgetConnection.prototype.onReplyDelta,
  "reply.end": WidgetConnection.prototype.onReplyEnd,
  typing(frame) { this.emit("typing", frame); },
  status(frame) { this.emit("status", frame); },
  error: WidgetConnection.prototype.onError,
};
