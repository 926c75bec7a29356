"""G7: sockets are bounded by address, inbox, member and key, and in how fast they come."""

from __future__ import annotations

import asyncio
import socket
import uuid
from contextlib import ExitStack
from typing import Any

import pytest
from django.test import Client

from apps.accounts.services import api_key_create
from apps.conversations.models import Conversation
from apps.core import sockets as frame_sockets
from apps.core.counts import Held, Pace
from apps.core.tenancy import tenant_scope
from apps.inbox.consumers import HELD as STAFF_HELD
from apps.widget.limits import HELD as VISITORS_HELD
from nlpsuite.socket_door import SocketDoor
from tests.served import served
from tests.sockets import OWN, Closed, Socket, call, say

pytestmark = pytest.mark.django_db(transaction=True)
PEER = "198.51.100.1"


async def open_one(inbox: Any, client: str, **more: Any) -> Socket:
    opened = await Socket("/ws/widget", client=client, **more).open()
    await opened.send(type="hello", widget_token=inbox.widget_token)
    return opened


async def code_of(opened: Socket) -> int:
    """0 when the socket was greeted, else the code that it was closed with."""
    try:
        await opened.receive("welcome")
    except Closed as closed:
        return closed.code
    return 0


async def codes(inbox: Any, clients: list[str], **more: Any) -> tuple[list[int], list[Socket]]:
    found, opened = [], []
    for client in clients:
        opened.append(await open_one(inbox, client, **more))
        found.append(await code_of(opened[-1]))
    return found, opened


async def close_all(opened: list[Socket]) -> None:
    for one in opened:
        await one.close()


# -- open sockets ----------------------------------------------------------------------------------------------------
async def test_an_address_holds_a_bounded_number_of_sockets(inbox: Any, settings: Any) -> None:
    settings.SOCKETS_PER_ADDRESS = 3
    found, opened = await codes(inbox, ["198.51.100.10"] * 5 + ["198.51.100.11"])
    assert found == [0, 0, 0, 4429, 4429, 0]
    await close_all(opened)
    again, opened = await codes(inbox, ["198.51.100.10"])
    assert again == [0]
    await close_all(opened)


async def test_addresses_of_one_ipv6_network_hold_sockets_together(inbox: Any, settings: Any) -> None:
    settings.SOCKETS_PER_ADDRESS = 2
    found, opened = await codes(inbox, ["2001:db8:7:7::1", "2001:db8:7:7::2", "2001:db8:7:7:9::3", "2001:db8:7:8::1"])
    assert found == [0, 0, 4429, 0]
    await close_all(opened)


@pytest.mark.parametrize(("proxies", "expected"), [([], [0, 0, 4429]), (["198.51.100.12/32"], [0, 0, 0])])
async def test_a_proxy_is_believed_where_it_is_trusted(
    inbox: Any, settings: Any, proxies: list[str], expected: list[int]
) -> None:
    settings.SOCKETS_PER_ADDRESS, settings.TRUSTED_PROXIES = 2, proxies
    opened = []
    for number in range(3):
        header = [(b"x-forwarded-for", f"203.0.113.{number}".encode())]
        opened.append(await open_one(inbox, "198.51.100.12", headers=header))
    assert [await code_of(one) for one in opened] == expected
    await close_all(opened)


async def test_an_inbox_holds_a_bounded_number_of_visitors(inbox: Any, other_inbox: Any, settings: Any) -> None:
    settings.SOCKETS_PER_INBOX = 2
    found, opened = await codes(inbox, ["198.51.100.13", "198.51.100.14", "198.51.100.15"])
    other, more = await codes(other_inbox, ["198.51.100.16"])
    assert (found, other) == ([0, 0, 4429], [0])
    assert opened[2].frames[-1]["code"] == "too_many_sockets"
    await close_all(opened + more)
    assert VISITORS_HELD.total() == 0


async def test_a_second_hello_counts_no_second_socket(inbox: Any, settings: Any) -> None:
    settings.SOCKETS_PER_INBOX = 1
    one = await open_one(inbox, "198.51.100.17")
    await one.receive("welcome")
    await one.send(type="hello", widget_token=inbox.widget_token)
    await one.receive("welcome")
    await one.close()
    assert VISITORS_HELD.total() == 0


async def test_a_key_holds_a_bounded_number_of_staff_sockets(tenant: Any, settings: Any) -> None:
    before = STAFF_HELD.total()  # sockets that other tests did not close
    settings.STAFF_SOCKETS_PER_KEY = 2
    secret = (await call(api_key_create, tenant_id=tenant.id, name="k"))[1]
    opened = [await Socket("/ws/inbox", origin=None).open() for _ in range(3)]
    found = []
    for one in opened:
        await one.send(type="hello", api_key=secret)
        found.append(await code_of(one))
    assert found == [0, 0, 4429]
    await close_all(opened)
    assert STAFF_HELD.total() == before


async def test_a_member_holds_a_bounded_number_of_staff_sockets(member: Any, settings: Any) -> None:
    before = STAFF_HELD.total()  # sockets that other tests did not close
    settings.STAFF_SOCKETS_PER_USER = 2
    browser = Client(headers={"Host": "127.0.0.1"})
    await call(browser.force_login, user=member, backend="django.contrib.auth.backends.ModelBackend")
    cookie = [(b"cookie", f"nlpsuite_session={browser.cookies['nlpsuite_session'].value}".encode())]
    found, opened = [], []
    for _ in range(3):
        opened.append(await Socket("/ws/inbox", origin=OWN, headers=cookie).open())
        found.append(await code_of(opened[-1]))
    assert found == [0, 0, 4429]
    await close_all(opened)
    assert STAFF_HELD.total() == before


@pytest.mark.parametrize("path", ["/ws/widget", "/ws/inbox"])
async def test_a_socket_that_does_not_say_who_it_is_is_closed(
    db: None, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert frame_sockets.HELLO_TIMEOUT_S <= 10
    monkeypatch.setattr(frame_sockets, "HELLO_TIMEOUT_S", 0.2)
    opened = await Socket(path).open()
    assert await opened.closed(10) == 4401
    await opened.close()


# -- how fast --------------------------------------------------------------------------------------------------------
async def test_an_address_opens_sockets_at_a_bounded_pace(inbox: Any, settings: Any) -> None:
    settings.HANDSHAKES_PER_MINUTE = 9  # three at once
    found = []
    for _ in range(5):
        opened = await open_one(inbox, "198.51.100.20")
        found.append(await code_of(opened))
        await opened.close()
    assert found == [0, 0, 0, 4429, 4429]


def limits(settings: Any, kind: str, **values: int) -> None:
    settings.VISITOR_LIMITS = settings.VISITOR_LIMITS | {kind: settings.VISITOR_LIMITS[kind] | values}


@pytest.mark.parametrize("bound", ["per_address", "per_inbox"])
async def test_greetings_have_a_bounded_pace(inbox: Any, settings: Any, bound: str) -> None:
    limits(settings, "greeting", **{bound: 2}, burst_share=1)
    clients = ["198.51.100.21"] * 3 if bound == "per_address" else ["198.51.100.22", "198.51.100.23", "198.51.100.24"]
    found, opened = await codes(inbox, clients)
    assert found == [0, 0, 4429]
    assert opened[2].frames[-1]["code"] == "rate_limited"
    assert opened[2].frames[-1]["retry_after_s"] > 0
    await close_all(opened)


async def _talk(inbox: Any, client: str, messages: int) -> list[dict[str, Any]]:
    opened = await open_one(inbox, client)
    await opened.receive("welcome")
    answers = [await say(opened, f"message {number}") for number in range(messages)]
    await opened.close()
    return answers


async def test_fresh_visitors_of_one_address_come_at_a_bounded_pace(inbox: Any, tenant: Any, settings: Any) -> None:
    """40 fresh visitors with 3 messages each used to be 40 conversations and 120 answers of the model."""
    limits(settings, "visitor", per_address=10, burst_share=2)
    answers = [answer for _ in range(40) for answer in await _talk(inbox, "198.51.100.25", 3)]
    refused = [answer for answer in answers if answer["type"] == "error"]
    assert {answer["code"] for answer in refused} == {"rate_limited"}
    assert all(answer["retry_after_s"] > 0 for answer in refused)
    made = await call(_conversations, tenant_id=tenant.id)
    assert 5 <= made < 40
    assert len(refused) == 3 * (40 - made)
    assert (await _talk(inbox, "198.51.100.26", 1))[0]["type"] == "ack"


def _conversations(tenant_id: Any) -> int:
    with tenant_scope(tenant_id):
        return int(Conversation.objects.count())


@pytest.mark.parametrize("bound", ["per_address", "per_inbox"])
async def test_messages_have_a_bounded_pace(inbox: Any, settings: Any, bound: str) -> None:
    limits(settings, "message", **{bound: 4}, burst_share=1)
    first, second = ("198.51.100.27",) * 2 if bound == "per_address" else ("198.51.100.28", "198.51.100.29")
    answers = await _talk(inbox, first, 3) + await _talk(inbox, second, 3)
    assert [answer["type"] for answer in answers[:4]] == ["ack"] * 4
    assert "error" in [answer["type"] for answer in answers[4:]]


async def test_a_visitor_who_is_known_is_no_new_one(inbox: Any, settings: Any) -> None:
    limits(settings, "visitor", per_address=1, burst_share=1)
    one = await open_one(inbox, "198.51.100.30")
    token = (await one.receive("welcome"))["visitor_token"]
    assert (await say(one, "first"))["type"] == "ack"
    await one.close()
    again = await Socket("/ws/widget", client="198.51.100.30").open()
    await again.send(type="hello", widget_token=inbox.widget_token, visitor_token=token)
    await again.receive("welcome")
    assert (await say(again, "second"))["type"] == "ack"
    await again.close()


# -- at size ---------------------------------------------------------------------------------------------------------
async def test_four_hundred_idle_sockets_of_one_address_are_not_all_admitted(settings: Any) -> None:
    sent: list[str] = []

    async def idle(scope: Any, receive: Any, send: Any) -> None:
        sent.append("open")
        await receive()

    door, gone = SocketDoor(idle), asyncio.Event()

    async def receive() -> dict[str, Any]:
        await gone.wait()
        return {"type": "websocket.disconnect"}

    async def refused_receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(str(message.get("code", message["type"])))

    settings.HANDSHAKES_PER_MINUTE = 100_000
    scope = {"type": "websocket", "path": "/ws/widget", "headers": [], "client": (PEER, 1)}
    held = [asyncio.ensure_future(door(scope, receive, send)) for _ in range(settings.SOCKETS_PER_ADDRESS)]
    await asyncio.sleep(0)
    for _ in range(400 - settings.SOCKETS_PER_ADDRESS):
        await door(scope, refused_receive, send)
    assert (sent.count("open"), sent.count("4429")) == (256, 144)
    gone.set()
    await asyncio.gather(*held)


UPGRADE = (
    "GET /ws/widget HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: {origin}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


def test_pages_answer_beside_many_idle_sockets(transactional_db: None, settings: Any) -> None:
    from nlpsuite.asgi import application

    settings.SOCKETS_PER_ADDRESS, settings.HANDSHAKES_PER_MINUTE = 50, 100_000
    with served(application) as port, ExitStack() as opened:
        states = []
        for _ in range(200):
            one = opened.enter_context(socket.create_connection(("127.0.0.1", port), 30))
            one.sendall(UPGRADE.format(origin=OWN).encode())
            head = b""
            while b"\r\n\r\n" not in head:
                head += one.recv(1)
            states.append(one)
        refused = 0
        for one in states:
            one.settimeout(0.01)
            try:
                refused += one.recv(4) == b"\x88\x02\x11\x4d"  # a close frame with 4429
            except TimeoutError:
                continue
        assert refused >= 150
        with socket.create_connection(("127.0.0.1", port), 30) as page:
            page.sendall(b"GET /accounts/login/ HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            assert page.recv(12) == b"HTTP/1.1 200"


# -- the counters ----------------------------------------------------------------------------------------------------
def test_what_is_given_back_is_free_again() -> None:
    held = Held()
    assert [held.take("a", 2) for _ in range(3)] == [True, True, False]
    held.give("a")
    assert held.take("a", 2)
    assert held.total() == 2


def test_a_pace_keeps_no_caller_for_ever() -> None:
    pace = Pace()
    for _ in range(60_000):
        pace.allows(uuid.uuid4().hex, per_minute=10_000_000, burst=1)
    assert len(pace._due) <= 50_001
