// What the inbox knows: conversations, the list that is shown, and the messages of opened conversations.

import { StreamText } from "../js/lib/codepoints.js";

export const VIEWS = {
  mine: { query: { status: "open", assignee: "me" }, has: (item, me) => item.status === "open" && item.assignee?.id === me.id },
  unassigned: { query: { status: "open", handler: "person", assignee: "none" }, has: (item) => item.status === "open" && item.handler === "person" && !item.assignee },
  bot: { query: { status: "open", handler: "bot" }, has: (item) => item.status === "open" && item.handler === "bot" },
  open: { query: { status: "open" }, has: (item) => item.status === "open" },
  resolved: { query: { status: "resolved" }, has: (item) => item.status === "resolved" },
};

/** Messages of one conversation. `complete` says whether the first message is here. */
export class Timeline {
  constructor() {
    this.messages = new Map();
    this.pending = [];
    this.annotated = new Map();
    this.streams = new Map();
    this.lastSeq = 0;
    this.firstSeq = Infinity;
    this.loaded = false;
    this.error = null;
  }

  /** A page that was asked for before a message was read may come after what was found in it. */
  put(message) {
    const known = this.annotated.get(message.id) ?? this.messages.get(message.id);
    this.messages.set(message.id, known?.language && !message.language ? known : message);
    this.lastSeq = Math.max(this.lastSeq, message.seq);
    this.firstSeq = Math.min(this.firstSeq, message.seq);
    if (message.role === "bot") this.streams.clear();
  }

  annotate(message) {
    if (this.messages.has(message.id)) this.messages.set(message.id, message);
    if (!this.loaded) this.annotated.set(message.id, message);
  }

  load() {
    this.loaded = true;
    this.annotated.clear();
  }

  /** The first message of the newest 20 that nothing was found out about yet. */
  firstUnread() {
    return this.sorted().slice(-20).find((message) => message.role === "contact" && !message.language);
  }

  sorted() {
    return [...this.messages.values()].sort((a, b) => a.seq - b.seq);
  }

  stream(replyId) {
    if (!this.streams.has(replyId)) this.streams.set(replyId, new StreamText());
    return this.streams.get(replyId);
  }

  isComplete() {
    return this.loaded && this.firstSeq <= 1;
  }
}

/** Events: "list", "open", "conversation" (detail: id), "timeline" (detail: id), "connection". */
export class Store extends EventTarget {
  constructor(me) {
    super();
    this.me = me;
    this.members = [me];
    this.conversations = new Map();
    this.heard = new Map();
    this.heardCount = 0;
    this.timelines = new Map();
    this.view = "open";
    this.search = "";
    this.meaning = false;
    this.mood = "";
    this.matches = new Map();
    this.ids = [];
    this.cursor = null;
    this.listState = "loading";
    this.listError = null;
    this.openId = "";
    this.connection = "connecting";
  }

  conversation(id = this.openId) {
    return this.conversations.get(id);
  }

  timeline(id = this.openId) {
    if (!this.timelines.has(id)) this.timelines.set(id, new Timeline());
    return this.timelines.get(id);
  }

  /** A row of the socket. What was found out about a conversation changes no `updated_at`: an answer asked for before it is older. */
  conversationHear(item) {
    this.heard.set(item.id, ++this.heardCount);
    this.conversationPut(item);
  }

  /** Whether the socket told of the conversation after the call that began when `heardCount` was `since`. */
  isOutrun(id, since) {
    return (this.heard.get(id) ?? 0) > since;
  }

  /** Takes a conversation from the API or the socket, and keeps the shown list right. An older state is ignored. */
  conversationPut(item, { list = true } = {}) {
    const known = this.conversations.get(item.id);
    if (known && known.updated_at > item.updated_at) return;
    if (item.id === this.openId && document.visibilityState === "visible") item.unread = 0;
    this.conversations.set(item.id, item);
    if (list) this.placeInList(item);
    this.emit("conversation", item.id);
  }

  placeInList(item) {
    if (this.listState !== "ready") return;
    // A search's matches are the server's to decide: only rows that are already there change.
    if (this.search && this.meaning) {
      this.emit("list"); // nearest first, as the server said
      return;
    }
    const belongs = this.search ? this.ids.includes(item.id) : VIEWS[this.view].has(item, this.me) && (!this.mood || item.mood?.label === this.mood);
    const keep = item.id === this.openId && this.ids.includes(item.id);
    this.ids = this.ids.filter((id) => id !== item.id);
    if (belongs || keep) this.ids.push(item.id);
    this.sortList();
    this.emit("list");
  }

  sortList() {
    const time = (id) => this.conversations.get(id)?.updated_at || "";
    this.ids.sort((a, b) => (time(a) < time(b) ? 1 : time(a) > time(b) ? -1 : 0));
  }

  /** `since`: `heardCount` when the page was asked for. */
  listSet(items, cursor, { append = false, since = Infinity } = {}) {
    for (const { match, ...item } of items) {
      if (!this.isOutrun(item.id, since)) this.conversations.set(item.id, item);
      if (match) this.matches.set(item.id, match);
    }
    const ids = items.map((item) => item.id);
    this.ids = append ? [...new Set([...this.ids, ...ids])] : ids;
    this.cursor = cursor;
    this.listState = "ready";
    this.emit("list");
    if (ids.includes(this.openId)) this.emit("conversation", this.openId);
  }

  emit(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}

/** A visitor without a name is told apart by the end of the contact's id. */
export function contactName(conversation, t) {
  return conversation.contact?.name || conversation.contact?.email || t("visitor", { tail: String(conversation.contact?.id || "").slice(-4) });
}
