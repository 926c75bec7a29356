// Loading and changing conversations: the API calls behind the panes, optimistic where an answer can be taken back.

import { apiCall } from "../js/lib/api.js";
import { randomId } from "../js/lib/ids.js";
import { t } from "../js/lib/i18n.js";
import { toast } from "../js/lib/toast.js";
import { sameLanguage } from "./insights.js";
import { VIEWS } from "./store.js";

const LIST_PAGE = 50;
const MESSAGE_PAGE = 100;

export class Conversations {
  /** `actions.failed(text, error)` tells the agent about a change that did not happen. */
  constructor(store, live, actions) {
    this.store = store;
    this.live = live;
    this.actions = actions;
    this.listTurn = 0;
  }

  async membersLoad() {
    try {
      const answer = await apiCall("GET", "/accounts/members");
      this.store.members = answer.items.filter((member) => member.role !== "analyst");
      this.store.emit("conversation", this.store.openId);
    } catch {
      // Without the list, a conversation can still be assigned to oneself.
    }
  }

  listQuery(cursor) {
    const { search, meaning, mood, view } = this.store;
    // What is found by meaning is ordered by it alone.
    return { ...(search ? { q: search } : VIEWS[view].query), mood: search && meaning ? "" : mood, limit: LIST_PAGE, cursor };
  }

  listPath() {
    return this.store.search && this.store.meaning ? "/conversations/search" : "/conversations";
  }

  async listLoad({ quiet = false } = {}) {
    const { store } = this;
    const turn = ++this.listTurn;
    const since = store.heardCount;
    if (!quiet) {
      store.listState = "loading";
      store.emit("list");
    }
    try {
      const answer = await apiCall("GET", this.listPath(), { query: this.listQuery() });
      if (turn === this.listTurn) store.listSet(answer.items, answer.next_cursor, { since });
    } catch (error) {
      if (turn !== this.listTurn || quiet) return;
      Object.assign(store, { listState: "error", listError: error });
      store.emit("list");
    }
  }

  async listMore() {
    const { store } = this;
    if (this.loadingMore || store.listState !== "ready" || !store.cursor) return;
    this.loadingMore = true;
    const turn = this.listTurn;
    const since = store.heardCount;
    try {
      const answer = await apiCall("GET", this.listPath(), { query: this.listQuery(store.cursor) });
      if (turn === this.listTurn) store.listSet(answer.items, answer.next_cursor, { append: true, since });
    } catch (error) {
      this.actions.failed(t("more_failed"), error);
    } finally {
      this.loadingMore = false;
    }
  }

  /** Shows the newest messages of a conversation, or what is new in one that was shown before. */
  async timelineLoad(id) {
    const { store } = this;
    const timeline = store.timeline(id);
    timeline.error = null;
    store.emit("timeline", id);
    try {
      if (!timeline.loaded) await this.conversationLoad(id);
      const after = timeline.loaded ? timeline.lastSeq : Math.max(0, store.conversations.get(id).last_seq - MESSAGE_PAGE);
      await this.messagesAfter(id, after);
      timeline.load();
      store.conversationPut({ ...store.conversations.get(id), unread: 0 });
      this.annotationsLoad(id);
    } catch (error) {
      timeline.error = error;
    }
    store.emit("timeline", id);
  }

  async conversationLoad(id) {
    const since = this.store.heardCount;
    const item = await apiCall("GET", `/conversations/${id}`);
    if (!this.store.isOutrun(id, since)) this.store.conversationPut(item);
  }

  async messagesAfter(id, after) {
    let from = after;
    for (let more = true; more;) {
      const answer = await apiCall("GET", `/conversations/${id}/messages`, { query: { after_seq: from, limit: MESSAGE_PAGE } });
      for (const message of answer.items) this.messageTake(id, message);
      more = Boolean(answer.has_more ?? answer.next_cursor) && answer.items.length > 0;
      from = answer.items.at(-1)?.seq ?? from;
    }
    this.store.emit("timeline", id);
  }

  async earlierLoad(keepPosition) {
    const { store } = this;
    const id = store.openId;
    const timeline = store.timeline(id);
    try {
      const after = Math.max(0, timeline.firstSeq - 1 - MESSAGE_PAGE);
      const answer = await apiCall("GET", `/conversations/${id}/messages`, { query: { after_seq: after, limit: Math.min(MESSAGE_PAGE, timeline.firstSeq - 1 - after) } });
      keepPosition(() => answer.items.forEach((message) => timeline.put(message)));
    } catch (error) {
      this.actions.failed(t("more_failed"), error);
    }
  }

  messageTake(id, message) {
    const timeline = this.store.timeline(id);
    // Our own message can arrive over the socket before the answer to the request that made it.
    if (message.role === "agent" && !timeline.messages.has(message.id)) {
      const own = timeline.pending.find((entry) => !entry.error && entry.text === (message.original?.text ?? message.text) && Boolean(entry.private) === Boolean(message.private));
      if (own) timeline.pending = timeline.pending.filter((entry) => entry !== own);
    }
    timeline.put(message);
  }

  messageArrived(frame) {
    const id = frame.conversation_id;
    const timeline = this.store.timeline(id);
    if (!timeline.loaded || !frame.message) return;
    const previous = frame.prev_seq ?? frame.message.prev_seq ?? 0;
    if (previous > timeline.lastSeq) {
      this.messagesAfter(id, timeline.lastSeq).catch(() => {});
      return;
    }
    this.messageTake(id, frame.message);
    this.store.emit("timeline", id);
    this.seen();
  }

  conversationHeard(item) {
    const { store } = this;
    const found = (row) => JSON.stringify([row?.mood?.label, row?.language, row?.intents]);
    const before = found(store.conversations.get(item.id));
    store.conversationHear(item);
    if (item.id === store.openId && found(item) !== before) this.annotationsLoad(item.id);
  }

  /** What was found out about messages between the page's answer and the subscription was told to nobody. */
  annotationsLoad(id) {
    const timeline = this.store.timeline(id);
    const first = timeline.loaded && this.live.isWatched(id) ? timeline.firstUnread() : null;
    if (first) this.messagesAfter(id, first.seq - 1).catch(() => {});
  }

  /** A message again, with what was found out about it since. */
  messageAnnotated(frame) {
    const timeline = this.store.timeline(frame.conversation_id);
    timeline.annotate(frame.message);
    this.store.emit("timeline", frame.conversation_id);
  }

  replyPiece(frame) {
    const timeline = this.store.timeline(frame.conversation_id);
    const stream = timeline.stream(frame.reply_id);
    if (frame.type === "reply.delta" && !stream.add(frame.offset, frame.text)) {
      this.live.send({ type: "reply.resume", conversation_id: frame.conversation_id, reply_id: frame.reply_id, offset: stream.points });
    }
    this.store.emit("timeline", frame.conversation_id);
  }

  replyEnded(frame) {
    this.store.timeline(frame.conversation_id).streams.delete(frame.reply_id);
    if (frame.message) this.messageArrived(frame);
    this.store.emit("timeline", frame.conversation_id);
  }

  /** Tells the server how far the open conversation was read. */
  seen() {
    clearTimeout(this.seenTimer);
    const id = this.store.openId;
    if (!id || document.visibilityState !== "visible") return;
    this.seenTimer = setTimeout(() => {
      this.live.send({ type: "seen", conversation_id: id, seq: this.store.timeline(id).lastSeq });
      const item = this.store.conversations.get(id);
      if (item?.unread) this.store.conversationPut({ ...item, unread: 0 });
    }, 400);
  }

  /** `target`: the language that the visitor gets the text in; what was written is kept beside it. */
  send(id, text, note, target = "") {
    const entry = { id: randomId(), text, private: note, conversationId: id, target };
    const timeline = this.store.timeline(id);
    timeline.pending = [...timeline.pending, entry];
    this.store.emit("timeline", id);
    this.deliver(entry);
  }

  async deliver(entry) {
    const timeline = this.store.timeline(entry.conversationId);
    try {
      const body = { text: entry.text, role: "agent", private: Boolean(entry.private), client_id: entry.id };
      if (entry.target) Object.assign(body, await this.translated(entry));
      const message = await apiCall("POST", `/conversations/${entry.conversationId}/messages`, { body, idempotencyKey: entry.id });
      timeline.pending = timeline.pending.filter((other) => other !== entry);
      timeline.put(message);
    } catch (error) {
      entry.error = error;
      this.actions.failed(t("not_sent"), error);
    }
    this.store.emit("timeline", entry.conversationId);
  }

  /** Made once: the same text is sent again after a lost connection. */
  async translated(entry) {
    if (!entry.made) {
      const found = await apiCall("POST", "/nlp/translate", { body: { text: entry.text, target: entry.target } });
      entry.made = sameLanguage(found.source, entry.target) || found.source === "und" ? {} : { text: found.text, original: { text: entry.text, language: found.source } };
    }
    return entry.made;
  }

  resend(entry) {
    entry.error = null;
    this.store.emit("timeline", entry.conversationId);
    this.deliver(entry);
  }

  /** A message that the server made of a draft. */
  draftSent(message) {
    this.messageTake(message.conversation_id, message);
    this.store.emit("timeline", message.conversation_id);
  }

  discard(entry) {
    const timeline = this.store.timeline(entry.conversationId);
    timeline.pending = timeline.pending.filter((other) => other !== entry);
    this.store.emit("timeline", entry.conversationId);
  }

  /** Shows the change at once and takes it back when the server refuses. `undo` is the patch behind the toast's button. */
  async change(id, patch, { done = "", undo = null, then = null } = {}) {
    const { store } = this;
    const before = store.conversations.get(id);
    if (!before) return;
    const assignee = "assignee_id" in patch ? store.members.find((member) => member.id === patch.assignee_id) || (patch.assignee_id ? before.assignee : null) : before.assignee;
    const { assignee_id: _, ...plain } = patch;
    store.conversationPut({ ...before, ...plain, assignee });
    try {
      store.conversationPut(await apiCall("PATCH", `/conversations/${id}`, { body: patch }));
      if (done) toast(done, { action: undo ? { label: t("undo"), run: () => this.change(id, undo) } : null });
      then?.();
    } catch (error) {
      store.conversationPut({ ...before, updated_at: store.conversations.get(id).updated_at });
      this.actions.failed(t("change_failed"), error);
    }
  }

  /** After a lost connection: the list as it is now. The open conversation's messages come by subscribing again. */
  catchUp() {
    this.listLoad({ quiet: true });
    const id = this.store.openId;
    const timeline = id ? this.store.timeline(id) : null;
    if (!timeline?.loaded) return;
    timeline.streams.clear();
    this.store.emit("timeline", id);
  }
}
