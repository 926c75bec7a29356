"""The frame's side of the visitor protocol, against a scripted server in the page."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page

pytestmark = pytest.mark.browser
SETUP = """async () => {
    const { WidgetConnection } = await import("/static/widget/frame/connection.js");
    const { FrameStorage } = await import("/static/widget/frame/storage.js");
    localStorage.clear();
    window.sockets = [];
    window.WebSocket = class {
        static OPEN = 1;
        constructor(url) {
            Object.assign(this, { url, readyState: 1, sent: [] });
            sockets.push(this);
            setTimeout(() => this.onopen?.());
        }
        send(text) { this.sent.push(JSON.parse(text)); }
        close() { this.readyState = 3; }
        push(frame) { this.onmessage({ data: JSON.stringify(frame) }); }
        drop(code) { this.readyState = 3; this.onclose({ code }); }
    };
    window.events = [];
    window.make = () => {
        const connection = new WidgetConnection({ url: "ws://x/", token: "wt", storage: new FrameStorage("wt") });
        for (const name of ["state", "message", "acked", "undelivered", "reply", "problem", "moved"]) {
            connection.addEventListener(name, (event) => events.push([name, event.detail]));
        }
        return connection;
    };
    window.tick = () => new Promise((done) => setTimeout(done, 5));
    const nothing = { type: "welcome", visitor_token: "vt", conversation_id: "c", seq: 0, messages: [] };
    window.welcome = (socket, extra) => socket.push({ ...nothing, ...extra });
    const plain = { text: "x", citations: [], created_at: "2026-01-01T00:00:00Z" };
    window.message = (seq, role) => ({ ...plain, id: `m${seq}`, seq, role });
    window.refuse = (socket, code, extra) => socket.push({ type: "error", code, message: "", ...extra });
    window.delta = (socket, offset, text) => socket.push({ type: "reply.delta", reply_id: "r", offset, text });
    window.start = (socket) => socket.push({ type: "reply.start", reply_id: "r" });
    window.ack = (socket, { client_id }, seq) => socket.push({ type: "ack", client_id, message_id: `m${seq}`, seq });
    window.show = (socket, seq, prev_seq, role) =>
        socket.push({ type: "message", seq, prev_seq, message: message(seq, role) });
    window.again = async (connection, socket, extra) => {
        socket.drop(1006);
        connection.socket.retryNow();
        await tick();
        welcome(sockets.at(-1), extra);
    };
    window.idsOf = (socket) => socket.sent.filter((frame) => frame.type === "message").map((frame) => frame.client_id);
    window.named = (name) => events.filter(([kind]) => kind === name).map(([, detail]) => detail);
}"""


@pytest.fixture
def page(script_page: Page) -> Page:
    script_page.reload()
    script_page.evaluate(SETUP)
    return script_page


def _run(page: Page, body: str) -> Any:
    return page.evaluate(f"async () => {{ {body} }}")


OPEN = "const c = make(); c.start(); await tick(); const s = sockets[0]; welcome(s);"


def test_hello_comes_first_and_names_what_is_known(page: Page) -> None:
    sent = _run(page, OPEN + "await again(c, s); return sockets[1].sent[0];")
    assert sent["type"] == "hello"
    assert (sent["widget_token"], sent["visitor_token"], sent["conversation_id"]) == ("wt", "vt", "c")


def test_a_message_without_ack_is_sent_again_with_the_same_id(page: Page) -> None:
    ids = _run(page, OPEN + "c.sendText('hi'); await again(c, s); return sockets.map(idsOf);")
    assert len(ids[0]) == 1
    assert ids[0] == ids[1]


def test_a_message_written_before_a_reload_is_sent_after_it(page: Page) -> None:
    ids = _run(
        page,
        "const c = make(); const entry = c.sendText('kept'); c.socket.stop(); const next = make(); next.start();"
        "await tick(); welcome(sockets.at(-1)); return [[entry.client_id], idsOf(sockets.at(-1))];",
    )
    assert ids[0] == ids[1]


def test_an_acknowledged_message_is_not_sent_again(page: Page) -> None:
    ids = _run(page, OPEN + "ack(s, c.sendText('hi'), 1); await again(c, s, { seq: 1 }); return idsOf(sockets[1]);")
    assert ids == []


def test_a_gap_asks_for_what_is_missing_instead_of_showing_it(page: Page) -> None:
    shown, last = _run(
        page,
        OPEN + "show(s, 1, 0, 'bot'); show(s, 4, 3, 'agent');"
        "return [named('message').map((d) => d.message.seq), s.sent.at(-1)];",
    )
    assert shown == [1]
    assert (last["type"], last["after_seq"]) == ("hello", 1)


def test_a_note_the_visitor_cannot_see_is_no_gap(page: Page) -> None:
    seqs = _run(
        page,
        OPEN + "show(s, 1, 0, 'bot'); show(s, 3, 1, 'agent'); return named('message').map((d) => d.message.seq);",
    )
    assert seqs == [1, 3]


def test_offsets_count_code_points(page: Page) -> None:
    text = _run(page, OPEN + "start(s); delta(s, 0, '好😀'); delta(s, 1, '😀 ok'); return named('reply').at(-1).text;")
    assert text == "好😀 ok"


def test_a_missing_piece_is_asked_for_from_where_the_text_ends(page: Page) -> None:
    frame = _run(page, OPEN + "start(s); delta(s, 0, '😀😀'); delta(s, 9, 'late'); return s.sent.at(-1);")
    assert frame == {"type": "reply.resume", "reply_id": "r", "offset": 2}


def test_a_reconnect_resumes_the_open_reply(page: Page) -> None:
    frame = _run(page, OPEN + "start(s); delta(s, 0, 'abc'); await again(c, s); return sockets[1].sent.at(-1);")
    assert frame == {"type": "reply.resume", "reply_id": "r", "offset": 3}


def test_a_reply_that_ended_while_away_is_not_resumed(page: Page) -> None:
    kinds = _run(
        page,
        OPEN + "start(s); delta(s, 0, 'abc'); await again(c, s, { seq: 2, messages: [message(2, 'bot')] });"
        "return sockets[1].sent.map((frame) => frame.type);",
    )
    assert kinds == ["hello"]


def test_a_refused_identity_is_dropped_and_the_chat_goes_on(page: Page) -> None:
    result = _run(
        page,
        "const c = make(); c.identify({ id: 'u', hash: 'wrong' }); c.start(); await tick();"
        "refuse(sockets[0], 'identity_invalid'); sockets[0].drop(4401); await tick();"
        "return [sockets.length, sockets[1].sent[0].identity ?? null];",
    )
    assert result == [2, None]


def test_a_store_that_is_away_does_not_fail_the_message(page: Page) -> None:
    result = _run(
        page,
        OPEN + "refuse(s, 'unavailable', { client_id: c.sendText('hi').client_id });"
        "return [named('undelivered').length, c.outbox.length];",
    )
    assert result == [0, 1]


def test_an_invalid_message_is_marked_and_kept_for_the_visitor(page: Page) -> None:
    result = _run(
        page,
        OPEN + "refuse(s, 'too_large', { client_id: c.sendText('hi').client_id });"
        "return [named('undelivered')[0].code, c.outbox.length];",
    )
    assert result == ["too_large", 1]


# -- who the visitor is ----------------------------------------------------------------------------------------------
IDENTITY = """
    const made = (required) => {
        const kept = new Map();
        const storage = { get: (name, other = null) => kept.get(name) ?? other, set: (name, it) => kept.set(name, it) };
        const c = make(); c.storage = storage; c.identityRequired = required; c.asked = [];
        c.addEventListener("identity", (event) => c.asked.push(event.detail.code));
        return c;
    };
"""


def test_without_a_proof_no_connection_is_made_where_one_is_required(page: Page) -> None:
    body = "const c = made(true); c.start(); await tick(); return [sockets.length, named('state').at(-1)];"
    assert _run(page, IDENTITY + body) == [0, {"state": "refused", "code": "identity_required"}]


def test_a_proof_that_comes_later_opens_the_chat(page: Page) -> None:
    body = (
        "const c = made(true); c.start(); c.identify({ token: 't' }); await tick(); return sockets[0].sent[0].identity;"
    )
    assert _run(page, IDENTITY + body) == {"token": "t"}


def test_a_token_is_not_kept_in_storage(page: Page) -> None:
    body = "const c = made(false); c.identify({ token: 't' }); return c.storage.get('identity');"
    assert _run(page, IDENTITY + body) is None


def test_an_expired_token_is_asked_for_again_and_the_gate_says_so(page: Page) -> None:
    body = "const c = made(true); c.identify({ token: 't' }); c.start(); await tick();"
    body += "refuse(sockets[0], 'identity_expired'); sockets[0].drop(4401);"
    body += "await tick(); return [c.asked, sockets.length, named('state').at(-1).code];"
    assert _run(page, IDENTITY + body) == [["identity_expired"], 1, "identity_expired"]


def test_where_no_proof_is_required_the_chat_goes_on_without_a_refused_one(page: Page) -> None:
    body = "const c = made(false); c.identify({ token: 't' }); c.start(); await tick();"
    body += "refuse(sockets[0], 'identity_invalid'); sockets[0].drop(4401);"
    body += "await tick(); return [sockets.length, sockets.at(-1).sent[0].identity ?? null];"
    assert _run(page, IDENTITY + body) == [2, None]


def test_what_follows_a_first_page_is_history(page: Page) -> None:
    body = "const c = make(); c.start(); await tick(); const s = sockets[0];"
    body += "welcome(s, { has_more: true, last_seq: 2, seq: 1, messages: [message(1, 'bot')] });"
    body += "show(s, 2, 1, 'bot'); show(s, 3, 2, 'bot');"
    body += "return [named('message').map((m) => m.history), s.sent.filter((f) => f.type === 'hello').length];"
    assert _run(page, body) == [[True, True, False], 1]
