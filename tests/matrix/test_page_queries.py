"""Every page asks the database as often for thirty rows as for three, and so do the sockets' welcomes and subscriptions.

Pages are found by looking, so a new one is covered; lists of the API have the same rule in test_list_queries.py.
"""

from __future__ import annotations

import asyncio
import threading
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.db.backends.utils import CursorWrapper
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import URLPattern, URLResolver, get_resolver

from apps.accounts.models import User
from apps.conversations.services import message_post
from tests import fakes
from tests.inbox.sessions import session_open
from tests.matrix.world import World, world_create, world_grow
from tests.sockets import Socket, call, say, visitor

FEW, MANY = 3, 30
# Not pages: the API and other servers' shapes have tests of their own, and these answer without rows.
NO_PAGES = ("api/v1/", "v1", "tei", "libretranslate", "healthz", "readyz", "metrics", "i18n/", "widget.js", "hooks/")
# What a page is asked with beside its address.
QUERIES = {"knowledge/": ["", "?q=when do pallets leave", "?cursor="], "studio/batches/": ["", "?cursor="]}


@pytest.fixture(autouse=True)
def _no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.jobs.services.enqueue.broker_hint", lambda *_: None)
    fakes.install(monkeypatch, fakes.FakeModels())


@pytest.fixture
def world(db: None) -> World:
    return world_create("A")


# -- pages -----------------------------------------------------------------------------------------------------------
def _routes(patterns: Any, before: str = "") -> Iterator[str]:
    """Every route of the product that may be a page, as it is written: `studio/batches/<str:batch_id>/`."""
    for pattern in patterns:
        route = before + str(pattern.pattern)
        if route.startswith(NO_PAGES):
            continue
        if isinstance(pattern, URLResolver):
            yield from _routes(pattern.url_patterns, route)
        elif isinstance(pattern, URLPattern) and "(?P" not in route:
            yield route


def _address(route: str, world: World) -> str:
    for name, value in world.ids.items():
        route = route.replace(f"<str:{name}>", value)
    assert "<" not in route, f"an object for {route} is missing in tests/matrix/world.py"
    return "/" + route


ROUTES = sorted(_routes(get_resolver().url_patterns))


def _asked(client: Client, path: str) -> tuple[int, int]:
    """Status and queries of one call. The second of two: what is read once for a process is read."""
    client.get(path)
    with CaptureQueriesContext(connection) as found:
        answer = client.get(path)
    if answer.streaming:
        b"".join(answer.streaming_content)  # type: ignore[arg-type]
    return answer.status_code, len(found)


@pytest.mark.django_db
def test_pages_ask_as_often_for_thirty_rows_as_for_three(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.translation.services.documents.MAX_OPEN", MANY + 1)
    User.objects.filter(id=world.owner.id).update(is_staff=True)  # an operator: the page of the load is shown too
    client = Client(headers={"Host": "127.0.0.1"})
    client.force_login(User.objects.get(id=world.owner.id), backend="django.contrib.auth.backends.ModelBackend")
    paths = [_address(route, world) + query for route in ROUTES for query in QUERIES.get(route, [""])]
    frame, passage = f"/widget/frame?token={world.inbox.widget_token}", world.ids["passage"].partition("#")[0]
    paths += [frame, passage[passage.index("/knowledge/") :]]
    for number in range(FEW):
        world_grow(world, number)
    few = {path: _asked(client, path) for path in paths}
    for number in range(FEW, MANY):
        world_grow(world, number)
    many = {path: _asked(client, path) for path in paths}
    shown = {path for path, (status, _) in few.items() if status == 200}
    wanted = {"/inbox/", "/knowledge/", "/knowledge/rows", "/studio/", "/studio/batches/", "/studio/translation/"}
    wanted |= set(paths[-2:]) | {
        "/studio/classifiers/",
        "/operations/",
        "/operations/stats",
        f"/studio/batches/{world.ids['batch_id']}/",
    }
    assert wanted - shown == set()
    assert {path: (few[path], many[path]) for path in paths if many[path] != few[path]} == {}


# -- sockets ---------------------------------------------------------------------------------------------------------
class Counter:
    """Counts what all threads of the process ask the database."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count, self._lock = 0, threading.Lock()
        real = CursorWrapper.execute

        def execute(cursor: CursorWrapper, *args: Any, **kwargs: Any) -> Any:
            with self._lock:
                self.count += 1
            return real(cursor, *args, **kwargs)

        monkeypatch.setattr(CursorWrapper, "execute", execute)

    async def settled(self) -> int:
        """Return the count when nothing more is asked, and begin anew."""
        seen = -1
        while seen != self.count:
            seen = self.count
            await asyncio.sleep(0.7)
        self.count = 0
        return seen


@pytest.fixture
def counter(monkeypatch: pytest.MonkeyPatch, _quiet: None) -> Counter:
    return Counter(monkeypatch)


@pytest.fixture
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """No look that comes by the clock."""
    monkeypatch.setattr("apps.conversations.services.watching.POLL_S", 3600.0)
    monkeypatch.setattr("apps.inbox.consumers.RECHECK_S", 3600.0)


async def _say_more(tenant_id: uuid.UUID, conversation_id: uuid.UUID, author: Any, count: int) -> None:
    for number in range(count):
        extra = {"author_id": author.id} if number % 2 else {}
        role = "agent" if number % 2 else "contact"
        asked = {"tenant_id": tenant_id, "conversation_id": conversation_id, "text": f"number {number}"}
        await call(message_post, **asked, role=role, **extra)


@pytest.mark.django_db(transaction=True)
async def test_a_welcome_asks_as_often_for_thirty_messages_as_for_three(
    tenant: Any, inbox: Any, member: Any, counter: Counter
) -> None:
    first, greeting = await visitor(inbox)
    await say(first, "hello")
    await first.close()
    asked, messages = [], []
    for more in (FEW, MANY - FEW, 0):
        await _say_more(tenant.id, uuid.UUID(greeting["conversation_id"]), member, more)
        await counter.settled()
        again, welcome = await visitor(inbox, visitor_token=greeting["visitor_token"])
        asked.append(await counter.settled())
        messages.append(len(welcome["messages"]))
        await again.close()
    assert messages == [1 + FEW, 1 + MANY, 1 + MANY]
    assert asked[0] == asked[1] == asked[2]


async def _subscribed(member: Any, frames: list[dict[str, Any]], count: int) -> Socket:
    socket = await session_open(member)
    await socket.receive("welcome")
    for frame in frames:
        await socket.send(type="subscribe", **frame)
        await socket.receive("subscribed")
    for _ in range(count):
        await socket.receive("message")
    return socket


@pytest.mark.django_db(transaction=True)
async def test_a_subscription_asks_as_often_for_thirty_messages_as_for_three(
    tenant: Any, inbox: Any, member: Any, counter: Counter
) -> None:
    first, greeting = await visitor(inbox)
    await say(first, "hello")
    await first.close()
    conversation_id = greeting["conversation_id"]
    frames = [{"queue": True}, {"conversation_id": conversation_id, "after_seq": 0}]
    asked = []
    for more, total in ((FEW, FEW), (MANY - FEW, MANY), (0, MANY)):
        await _say_more(tenant.id, uuid.UUID(conversation_id), member, more)
        await counter.settled()
        socket = await _subscribed(member, frames, 1 + total)
        asked.append(await counter.settled())
        await socket.close()
    assert asked[0] == asked[1] == asked[2]
