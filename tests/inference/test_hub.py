"""The hub: every follower gets every entry once, in order, whatever happens to Redis."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable

import pytest
import redis

from apps.inference.services.hub import StreamHub
from apps.inference.services.streams import StreamEntry, StreamWriter, stream_read_sync


@pytest.fixture
async def hub(valkey: redis.Redis) -> AsyncIterator[StreamHub]:
    running = StreamHub()
    yield running
    await running.close()


class Follower:
    """Collects what it is given."""

    def __init__(self) -> None:
        self.entries: list[StreamEntry] = []
        self.times: list[float] = []

    def __call__(self, entry: StreamEntry) -> None:
        self.entries.append(entry)
        self.times.append(time.monotonic())

    @property
    def text(self) -> str:
        return "".join(entry.text for entry in self.entries)

    @property
    def ended(self) -> bool:
        return bool(self.entries) and self.entries[-1].kind == "end"


async def until(condition: Callable[[], bool], timeout_s: float = 8.0) -> None:
    give_up = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < give_up, "it did not happen in time"
        await asyncio.sleep(0.005)


async def test_entries_before_and_after_subscribing_arrive(hub: StreamHub, tenant_id: uuid.UUID) -> None:
    writer = StreamWriter(tenant_id, "r")
    writer.append("before ")
    follower = Follower()
    hub.subscribe(tenant_id, "r", callback=follower)
    await until(lambda: follower.text == "before ")
    writer.append("after")
    writer.end()
    await until(lambda: follower.ended)
    assert follower.text == "before after"


async def test_stream_that_does_not_exist_yet_is_followed(hub: StreamHub, tenant_id: uuid.UUID) -> None:
    follower = Follower()
    hub.subscribe(tenant_id, "later", callback=follower)
    await asyncio.sleep(0.2)
    writer = StreamWriter(tenant_id, "later")
    began = time.monotonic()
    writer.append("x")
    await until(lambda: follower.text == "x")
    assert follower.times[0] - began < 0.25


async def test_new_stream_does_not_wait_for_the_blocked_read(hub: StreamHub, tenant_id: uuid.UUID) -> None:
    hub.subscribe(tenant_id, "quiet", callback=Follower())
    await asyncio.sleep(0.2)
    follower = Follower()
    hub.subscribe(tenant_id, "busy", callback=follower)
    await asyncio.sleep(0.2)
    began = time.monotonic()
    StreamWriter(tenant_id, "busy").append("x")
    await until(lambda: follower.text == "x")
    assert follower.times[0] - began < 0.25


async def test_two_followers_each_get_all(hub: StreamHub, tenant_id: uuid.UUID) -> None:
    early, late = Follower(), Follower()
    hub.subscribe(tenant_id, "r", callback=early)
    writer = StreamWriter(tenant_id, "r")
    for n in range(40):
        writer.append(f"{n} ")
        await asyncio.sleep(0.01)
        if n == 20:
            hub.subscribe(tenant_id, "r", callback=late)
    writer.end()
    await until(lambda: early.ended and late.ended)
    assert early.text == late.text == "".join(f"{n} " for n in range(40))


async def test_following_goes_on_after_an_id(hub: StreamHub, tenant_id: uuid.UUID) -> None:
    writer = StreamWriter(tenant_id, "r")
    for word in ("a", "b", "c"):
        writer.append(word)
        await asyncio.sleep(0.06)
    seen = stream_read_sync(tenant_id, "r")[0]
    follower = Follower()
    hub.subscribe(tenant_id, "r", after=seen.id, callback=follower)
    writer.end()
    await until(lambda: follower.ended)
    assert (follower.text, follower.entries[0].offset) == ("bc", 1)


async def test_closed_subscription_gets_nothing_more(hub: StreamHub, tenant_id: uuid.UUID) -> None:
    follower, other = Follower(), Follower()
    handle = hub.subscribe(tenant_id, "r", callback=follower)
    hub.subscribe(tenant_id, "r", callback=other)
    writer = StreamWriter(tenant_id, "r")
    writer.append("a")
    await until(lambda: follower.text == other.text == "a")
    handle.close()
    writer.append("b")
    writer.end()
    await until(lambda: other.ended)
    assert follower.text == "a"


async def test_coroutine_callbacks_run_in_order_without_holding_others_up(hub: StreamHub, tenant_id: uuid.UUID) -> None:
    slow: list[str] = []
    fast = Follower()

    async def callback(entry: StreamEntry) -> None:
        await asyncio.sleep(0.1)
        slow.append(entry.text)

    hub.subscribe(tenant_id, "r", callback=callback)
    hub.subscribe(tenant_id, "r", callback=fast)
    writer = StreamWriter(tenant_id, "r")
    for n in range(5):
        writer.append(str(n))
        await asyncio.sleep(0.05)
    writer.end()
    await until(lambda: fast.ended)
    assert len(slow) < 6
    await until(lambda: len(slow) >= 6)
    assert "".join(slow) == "01234"


async def test_failing_callback_does_not_stop_others(hub: StreamHub, tenant_id: uuid.UUID) -> None:
    def fail(entry: StreamEntry) -> None:
        raise RuntimeError("broken consumer")

    follower = Follower()
    hub.subscribe(tenant_id, "r", callback=fail)
    hub.subscribe(tenant_id, "r", callback=follower)
    writer = StreamWriter(tenant_id, "r")
    writer.append("a")
    await asyncio.sleep(0.06)
    writer.append("b")
    writer.end()
    await until(lambda: follower.ended)
    assert follower.text == "ab"


async def test_flush_under_load_repeats_and_loses_nothing(
    hub: StreamHub, valkey: redis.Redis, tenant_id: uuid.UUID
) -> None:
    follower, late = Follower(), Follower()
    hub.subscribe(tenant_id, "r", callback=follower)
    writer = StreamWriter(tenant_id, "r")
    for n in range(60):
        writer.append(f"{n} ")
        await asyncio.sleep(0.01)
        if n in (20, 40):
            await asyncio.sleep(0.1)
            valkey.flushall()
    hub.subscribe(tenant_id, "r", callback=late)
    writer.end()
    await until(lambda: follower.ended and late.ended)
    assert follower.text == late.text == "".join(f"{n} " for n in range(60))
    assert [e.offset for e in follower.entries] == sorted(e.offset for e in follower.entries)


async def test_lost_connections_are_made_again(hub: StreamHub, valkey: redis.Redis, tenant_id: uuid.UUID) -> None:
    follower = Follower()
    hub.subscribe(tenant_id, "r", callback=follower)
    writer = StreamWriter(tenant_id, "r")
    writer.append("a ")
    await until(lambda: follower.text == "a ")
    valkey.client_kill_filter(_type="normal", skipme=True)
    writer.append("b")
    await asyncio.sleep(0.6)
    writer.end()
    await until(lambda: follower.ended)
    assert follower.text == "a b"


async def test_idle_subscription_still_works_after_6_s(hub: StreamHub, tenant_id: uuid.UUID) -> None:
    """redis-py ends a silent read after 5 s by default."""
    follower = Follower()
    hub.subscribe(tenant_id, "r", callback=follower)
    await asyncio.sleep(6)
    StreamWriter(tenant_id, "r").append("x")
    await until(lambda: follower.text == "x", 1.0)


async def test_delivery_is_quick_with_many_streams(hub: StreamHub, tenant_id: uuid.UUID) -> None:
    followers = [Follower() for _ in range(64)]
    for n, follower in enumerate(followers):
        hub.subscribe(tenant_id, f"r{n}", callback=follower)
    await asyncio.sleep(0.5)
    began = time.monotonic()
    for n in range(64):
        StreamWriter(tenant_id, f"r{n}").append("x")
    await until(lambda: all(follower.text == "x" for follower in followers))
    assert max(follower.times[0] for follower in followers) - began < 1.0


async def test_no_reader_is_left_when_nobody_follows(hub: StreamHub, tenant_id: uuid.UUID) -> None:
    handle = hub.subscribe(tenant_id, "r", callback=Follower())
    await asyncio.sleep(0.2)
    handle.close()
    await until(lambda: hub._reader is not None and hub._reader.done(), 4.0)
