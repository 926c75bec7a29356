// The staff socket: what changes arrives here; what was missed is fetched again after a reconnect.

import { ReturningSocket, socketUrl } from "../js/lib/socket.js";

/** Frames are handed to `handlers[type]`; `seqOf(id)` is the last message known. Events: "up" {again}, "down", "refused". */
export class Live extends EventTarget {
  constructor(handlers, seqOf) {
    super();
    this.handlers = handlers;
    this.seqOf = seqOf;
    this.conversationId = "";
    this.watched = "";
    this.connectedOnce = false;
    this.socket = new ReturningSocket(socketUrl("/ws/inbox"));
    this.socket.addEventListener("frame", (event) => {
      if (event.detail.type === "welcome") this.opened();
      else this.handlers[event.detail.type]?.(event.detail);
    });
    this.socket.addEventListener("down", () => { this.watched = ""; });
    this.socket.addEventListener("down", () => this.dispatchEvent(new CustomEvent("down")));
    this.socket.addEventListener("refused", (event) => this.dispatchEvent(new CustomEvent("refused", { detail: event.detail })));
  }

  start() {
    this.socket.start();
  }

  opened() {
    this.socket.confirm();
    this.send({ type: "subscribe", queue: true });
    this.subscribe();
    this.dispatchEvent(new CustomEvent("up", { detail: { again: this.connectedOnce } }));
    this.connectedOnce = true;
  }

  watch(conversationId) {
    if (this.conversationId === conversationId) return;
    if (this.conversationId) this.send({ type: "unsubscribe", conversation_id: this.conversationId });
    this.conversationId = conversationId;
    this.watched = "";
    this.subscribe();
  }

  /** Whether the server has said that it tells of the conversation. */
  isWatched(conversationId) {
    return this.watched === conversationId;
  }

  /** With the last known seq, the server sends what was missed by itself. */
  subscribe() {
    if (!this.conversationId) return;
    const seq = this.seqOf(this.conversationId);
    this.send({ type: "subscribe", conversation_id: this.conversationId, after_seq: seq || undefined });
  }

  send(frame) {
    return this.socket.send(frame);
  }
}
