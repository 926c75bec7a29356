// The staff socket: what changes arrives here; what was missed is fetched again after a reconnect.

import { ReturningSocket, socketUrl } from "../js/lib/socket.js";

/** Frames are handed to `handlers[type]`. Events: "up" {again}, "down", "refused". */
export class Live extends EventTarget {
  constructor(handlers) {
    super();
    this.handlers = handlers;
    this.conversationId = "";
    this.connectedOnce = false;
    this.socket = new ReturningSocket(socketUrl("/ws/inbox"));
    this.socket.addEventListener("open", () => this.opened());
    this.socket.addEventListener("frame", (event) => this.handlers[event.detail.type]?.(event.detail));
    this.socket.addEventListener("down", () => this.dispatchEvent(new CustomEvent("down")));
    this.socket.addEventListener("refused", (event) => this.dispatchEvent(new CustomEvent("refused", { detail: event.detail })));
  }

  start() {
    this.socket.start();
  }

  opened() {
    this.socket.confirm();
    this.send({ type: "subscribe", queue: true });
    if (this.conversationId) this.send({ type: "subscribe", conversation_id: this.conversationId });
    this.dispatchEvent(new CustomEvent("up", { detail: { again: this.connectedOnce } }));
    this.connectedOnce = true;
  }

  watch(conversationId) {
    if (this.conversationId === conversationId) return;
    if (this.conversationId) this.send({ type: "unsubscribe", conversation_id: this.conversationId });
    this.conversationId = conversationId;
    if (conversationId) this.send({ type: "subscribe", conversation_id: conversationId });
  }

  send(frame) {
    return this.socket.send(frame);
  }
}
