"""Reply streams: what is written, when, and what a reader gets after faults."""

from __future__ import annotations

import threading
import time
import uuid

import pytest
import redis

from apps.core.errors import Unavailable
from apps.core.redis import redis_client
from apps.inference.services.streams import (
    COALESCE_S,
    ENDED_TTL_S,
    OPEN_TTL_S,
    StreamWriter,
    stream_key,
    stream_read_sync,
    text_of,
)

WORDS = ["你好", "，", "wor", "ld 🚢", "👨‍👩‍👧", " end"]


def write(tenant_id: uuid.UUID, words: list[str], pause_s: float = 0.0) -> StreamWriter:
    writer = StreamWriter(tenant_id, "r1")
    for word in words:
        writer.append(word)
        time.sleep(pause_s)
    return writer


def test_first_piece_is_written_at_once(valkey: redis.Redis, tenant_id: uuid.UUID) -> None:
    write(tenant_id, ["first"])
    assert [entry.text for entry in stream_read_sync(tenant_id, "r1")] == ["first"]


def test_later_pieces_are_joined_and_not_held_longer(valkey: redis.Redis, tenant_id: uuid.UUID) -> None:
    write(tenant_id, list("abcdefgh"), pause_s=0.001)
    assert len(stream_read_sync(tenant_id, "r1")) == 1
    time.sleep(COALESCE_S + 0.05)
    assert [entry.text for entry in stream_read_sync(tenant_id, "r1")] == ["a", "bcdefgh"]


def test_offsets_count_code_points(valkey: redis.Redis, tenant_id: uuid.UUID) -> None:
    write(tenant_id, WORDS, pause_s=COALESCE_S + 0.01).end()
    entries = [entry for entry in stream_read_sync(tenant_id, "r1") if entry.kind == "delta"]
    assert [entry.offset for entry in entries] == [len("".join(WORDS[:n])) for n in range(len(WORDS))]
    assert "".join(entry.text for entry in entries) == "".join(WORDS)


def test_end_carries_status_code_and_data_after_all_text(valkey: redis.Redis, tenant_id: uuid.UUID) -> None:
    write(tenant_id, WORDS).end("failed", code="busy", data={"a": 1})
    entries = stream_read_sync(tenant_id, "r1")
    assert entries[-1].data == {"status": "failed", "code": "busy", "data": {"a": 1}}
    assert entries[-1].offset == len("".join(WORDS)) == len(text_of(entries))


def test_nothing_is_written_after_the_end(valkey: redis.Redis, tenant_id: uuid.UUID) -> None:
    writer = write(tenant_id, ["a"])
    writer.end()
    writer.append("b")
    writer.mark({"x": 1})
    writer.end("failed")
    time.sleep(COALESCE_S + 0.03)
    assert [entry.kind for entry in stream_read_sync(tenant_id, "r1")] == ["delta", "end"]


def test_marks_come_after_the_text_they_speak_of(valkey: redis.Redis, tenant_id: uuid.UUID) -> None:
    writer = write(tenant_id, ["a", "b"])
    writer.mark({"supported": False})
    writer.append("c")
    writer.end()
    entries = stream_read_sync(tenant_id, "r1")
    assert [entry.kind for entry in entries] == ["delta", "delta", "mark", "delta", "end"]
    assert (entries[2].offset, entries[2].data) == (2, {"supported": False})


def test_reading_goes_on_after_an_entry(valkey: redis.Redis, tenant_id: uuid.UUID) -> None:
    write(tenant_id, WORDS, pause_s=COALESCE_S + 0.01).end()
    entries = stream_read_sync(tenant_id, "r1")
    assert stream_read_sync(tenant_id, "r1", after=entries[2].id) == entries[3:]


def test_second_attempt_goes_on_behind_the_first(valkey: redis.Redis, tenant_id: uuid.UUID) -> None:
    write(tenant_id, ["你好 "])
    second = StreamWriter(tenant_id, "r1")
    second.append("world")
    second.end()
    entries = stream_read_sync(tenant_id, "r1")
    assert (entries[1].offset, text_of(entries)) == (3, "你好 world")


def test_streams_end_by_themselves(valkey: redis.Redis, tenant_id: uuid.UUID) -> None:
    writer = write(tenant_id, ["a"])
    assert 0 < valkey.ttl(stream_key(tenant_id, "r1")) <= OPEN_TTL_S
    writer.end()
    assert 0 < valkey.ttl(stream_key(tenant_id, "r1")) <= ENDED_TTL_S


def test_keys_carry_the_tenant(valkey: redis.Redis, tenant_id: uuid.UUID) -> None:
    write(tenant_id, ["secret"])
    assert stream_read_sync(uuid.uuid4(), "r1") == []
    assert valkey.keys("*") == [f"t:{tenant_id}:reply:r1".encode()]


def test_flush_loses_no_text_for_a_reader_that_comes_later(valkey: redis.Redis, tenant_id: uuid.UUID) -> None:
    writer = write(tenant_id, ["one ", "two "], pause_s=COALESCE_S + 0.01)
    valkey.flushall()
    writer.append("three")
    writer.end()
    assert text_of(stream_read_sync(tenant_id, "r1")) == "one two three"
    assert valkey.ttl(stream_key(tenant_id, "r1")) > 0


def test_writer_outlives_redis_being_away(
    valkey: redis.Redis, tenant_id: uuid.UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = write(tenant_id, ["one "])

    def away(*_: object, **__: object) -> None:
        raise redis.exceptions.ConnectionError

    with monkeypatch.context() as broken:
        broken.setattr(valkey, "xadd", away)
        time.sleep(COALESCE_S + 0.01)
        writer.append("two ")
        writer.append("three")
    time.sleep(0.4)
    writer.end()
    assert text_of(stream_read_sync(tenant_id, "r1")) == "one two three"


def test_reading_without_redis_is_unavailable(monkeypatch: pytest.MonkeyPatch, tenant_id: uuid.UUID) -> None:
    nowhere = redis.Redis(unix_socket_path="/nonexistent/valkey.sock")
    monkeypatch.setattr("apps.inference.services.streams.redis_client", lambda: nowhere)
    with pytest.raises(Unavailable) as caught:
        stream_read_sync(tenant_id, "r1")
    assert caught.value.retry_after_s


def test_many_writers_at_once_keep_their_texts_apart(valkey: redis.Redis, tenant_id: uuid.UUID) -> None:
    def run(n: int) -> None:
        writer = StreamWriter(tenant_id, f"r{n}")
        for word in range(50):
            writer.append(f"{n}.{word} ")
            time.sleep(0.002)
        writer.end()

    threads = [threading.Thread(target=run, args=(n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    texts = [text_of(stream_read_sync(tenant_id, f"r{n}")) for n in range(16)]
    assert texts == ["".join(f"{n}.{word} " for word in range(50)) for n in range(16)]
    assert redis_client().xlen(stream_key(tenant_id, "r0")) < 20


def test_a_restart_makes_void_what_an_earlier_attempt_wrote(valkey: redis.Redis, tenant_id: uuid.UUID) -> None:
    write(tenant_id, ["Half of "]).flush()
    second = StreamWriter(tenant_id, "r1")
    second.restart()
    second.append("The whole.")
    second.end()
    entries = stream_read_sync(tenant_id, "r1")
    assert [entry.kind for entry in entries] == ["delta", "restart", "delta", "end"]
    assert (text_of(entries), entries[2].offset) == ("The whole.", 0)


def test_a_restart_of_nothing_writes_nothing(valkey: redis.Redis, tenant_id: uuid.UUID) -> None:
    writer = StreamWriter(tenant_id, "r1")
    writer.restart()
    assert stream_read_sync(tenant_id, "r1") == []
