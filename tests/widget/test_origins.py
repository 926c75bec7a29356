"""Only listed origins open a socket (G1): exactly, and before anything is written."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.conf import settings

from apps.conversations.services import inbox_create
from tests.matrix.rows import rows_of
from tests.sockets import Closed, Socket, call, say
from tests.widget.origins import LISTED, REFUSED

pytestmark = pytest.mark.django_db(transaction=True)
SECOND = {"allowed_origins": ["https://second.example"]}


@pytest.fixture
def listed(tenant: Any) -> Any:
    return inbox_create(tenant_id=tenant.id, name="Shop", settings={"allowed_origins": LISTED})


async def _try(inbox: Any, origin: str | bytes | None, **more: Any) -> int:
    """Say hello and post from an origin; returns the close code, 0 when the socket was let in."""
    try:
        socket = await Socket("/ws/widget", origin=origin, **more).open()
    except Closed as refused:
        return refused.code
    await socket.send(type="hello", widget_token=inbox.widget_token)
    await socket.send(type="message", client_id=str(uuid.uuid4()), text="hi")
    event = await socket._socket.receive_output(5)
    code = event.get("code", 0) if event["type"] == "websocket.close" else 0
    await (socket.close() if not code else _ended(socket))
    return code


def _is_foul(origin: str | bytes | None) -> bool:
    raw = origin.encode() if isinstance(origin, str) else origin or b""
    return any(byte < 0x20 and byte != 0x09 for byte in raw)


async def _ended(socket: Socket) -> None:
    await socket.close()


def test_at_least_sixty_origins_are_tried() -> None:
    assert len(set(map(str, REFUSED))) >= 60


async def test_unlisted_origins_are_refused_before_any_write(tenant: Any, listed: Any) -> None:
    before = await call(rows_of, tenant_id=tenant.id)
    codes = {repr(origin): await _try(listed, origin) for origin in REFUSED}
    # A value with control characters is refused as a header (400) before anybody reads it as an origin.
    assert {origin: code for origin, code in codes.items() if code not in {4403, 400}} == {}
    assert [origin for origin, code in codes.items() if code == 400] == [repr(o) for o in REFUSED if _is_foul(o)]
    assert await call(rows_of, tenant_id=tenant.id) == before


async def test_listed_and_own_origins_are_let_in(listed: Any) -> None:
    assert [await _try(listed, origin) for origin in [*LISTED, *settings.OWN_ORIGINS]] == [0] * (
        len(LISTED) + len(settings.OWN_ORIGINS)
    )


async def test_two_origin_headers_are_refused(listed: Any) -> None:
    assert await _try(listed, LISTED[0], headers=[(b"origin", LISTED[0].encode())]) == 4403


async def test_the_list_of_one_inbox_opens_no_other(tenant: Any, listed: Any, other_inbox: Any) -> None:
    second = await call(inbox_create, tenant_id=tenant.id, name="Second", settings=SECOND)
    assert await _try(second, LISTED[0]) == 4403
    assert await _try(other_inbox, LISTED[0]) == 4403


async def test_a_second_hello_is_judged_again(tenant: Any, listed: Any) -> None:
    """A socket that was let in for one inbox does not reach another by a second hello."""
    second = await call(inbox_create, tenant_id=tenant.id, name="Second", settings=SECOND)
    socket = await Socket("/ws/widget", origin=LISTED[0]).open()
    await socket.send(type="hello", widget_token=listed.widget_token)
    await socket.receive("welcome")
    assert (await say(socket, "hi"))["type"] == "ack"
    await socket.send(type="hello", widget_token=second.widget_token)
    assert await socket.closed() == 4403


@pytest.mark.parametrize(
    "origin",
    [
        "https://*.shop.example",
        "*",
        "https://shop.example/",
        "shop.example",
        "HTTPS://shop.example",
        "https://SHOP.example",
        "https://user@shop.example",
        "https://shop.example:port",
        "https://shop.example'",
        "https://shop.example;script-src *",
        "https://shop.example\n",
        "javascript:alert(1)",
        "",
    ],
)
def test_an_inbox_lists_exact_origins_only(api: Any, origin: str) -> None:
    refused = api.post("/conversations/inboxes", {"name": "x", "allowed_origins": [origin]})
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "origin_invalid")
