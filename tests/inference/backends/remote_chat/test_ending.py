"""Cancelling and stopping requests of the remote chat backend, and the breaker before a server that fails."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from apps.inference.engine.errors import ModelUnavailable, Overloaded
from tests.inference.backends.collecting import ask, say
from tests.inference.backends.remote_chat.asking import Make
from tests.inference.backends.remote_server import ModelServer, answer, begin_stream, blocks, delta, drop, hang, reply


# -- cancelling and stopping ------------------------------------------------------------------------------------------
def test_cancel_closes_the_connection_at_once(make: Make, server: ModelServer) -> None:
    def wait(handler: Any) -> None:
        begin_stream(handler)
        handler.wfile.write(delta("Once"))
        handler.wfile.flush()
        server.until_gone(handler)

    server.chat(wait)
    backend = make(slots=1)
    running = ask(backend, "Hi").begun()
    cancelled = time.monotonic()
    running.cancel()
    running.cancel()
    assert server.gone.wait(5)
    assert server.gone_at - cancelled < 1
    server.chat(answer("next"))
    assert (say(backend, "Hi"), running.ends) == ("next", 0)


def test_cancel_before_the_answer_closes_the_connection(make: Make, server: ModelServer) -> None:
    server.chat(server.until_gone)
    running = ask(make(timeout_s=30), "Hi")
    while not server.requests:
        time.sleep(0.01)
    running.cancel()
    assert (server.gone.wait(5), running.ends, running.pieces) == (True, 0, [])


def test_slots_are_a_bound(make: Make, server: ModelServer) -> None:
    server.chat(server.until_gone)
    backend = make(slots=2)
    running = [ask(backend, "Hi") for _ in range(2)]
    with pytest.raises(Overloaded):
        ask(backend, "Hi")
    running[0].cancel()
    ask(backend, "Hi").cancel()
    running[1].cancel()


def test_many_streams_run_side_by_side_on_one_thread(make: Make, server: ModelServer) -> None:
    server.chat(answer("a", "b", "c", pause_s=0.2))
    backend = make(slots=40)
    threads = threading.active_count()
    began = time.monotonic()
    running = [ask(backend, "Hi") for _ in range(40)]
    added = sum("remote" in thread.name for thread in threading.enumerate())
    assert [one.ended(30).text() for one in running] == ["abc"] * 40
    assert (added, time.monotonic() - began < 15, threads > 0) == (1, True, True)


def test_stop_ends_what_runs(make: Make, server: ModelServer) -> None:
    server.chat(server.until_gone)
    backend = make()
    running = ask(backend, "Hi")
    while not server.requests:
        time.sleep(0.01)
    backend.stop()
    assert isinstance(running.ended(5).failed, ModelUnavailable)
    assert (server.gone.wait(5), backend.health()) == (True, False)
    with pytest.raises(ModelUnavailable):
        ask(backend, "Hi")


# -- the breaker ------------------------------------------------------------------------------------------------------
def test_breaker_opens_then_half_opens_and_recovers(make: Make, server: ModelServer) -> None:
    server.chat(reply({}, 500))
    backend = make(retries=0)
    errors = [str(ask(backend, "Hi").ended().failed) for _ in range(5)]
    began = time.monotonic()
    refused = ask(backend, "Hi").ended()
    assert (["500" in error for error in errors], len(server.requests)) == ([True] * 5, 5)
    assert ("keeps failing" in str(refused.failed), time.monotonic() - began < 0.25) == (True, True)
    server.chat(answer("back"))
    time.sleep(0.4)
    assert say(backend, "Hi") == "back"
    assert [say(backend, "Hi") for _ in range(3)] == ["back"] * 3


def test_half_open_breaker_lets_one_probe_through(make: Make, server: ModelServer) -> None:
    server.chat(reply({}, 500))
    backend = make(retries=0)
    [ask(backend, "Hi").ended() for _ in range(5)]
    server.chat(answer("slow", "ly", pause_s=0.4))
    time.sleep(0.4)
    running = [ask(backend, "Hi") for _ in range(6)]
    texts = sorted(one.ended().text() for one in running)
    assert (texts, len(server.requests)) == ([""] * 5 + ["slowly"], 6)


def test_pause_grows_with_each_failed_probe(make: Make, server: ModelServer) -> None:
    server.chat(reply({}, 500))
    backend = make(retries=0)
    [ask(backend, "Hi").ended() for _ in range(5)]
    time.sleep(0.4)
    ask(backend, "Hi").ended()
    time.sleep(0.4)
    refused = ask(backend, "Hi").ended()
    assert ("keeps failing" in str(refused.failed), len(server.requests)) == (True, 6)


def test_cancelled_probe_leaves_the_way_free_for_another(make: Make, server: ModelServer) -> None:
    server.chat(reply({}, 500))
    backend = make(retries=0)
    [ask(backend, "Hi").ended() for _ in range(5)]
    server.chat(server.until_gone, answer("back"))
    time.sleep(0.4)
    probe = ask(backend, "Hi")
    while len(server.requests) < 6:
        time.sleep(0.01)
    probe.cancel()
    assert server.gone.wait(5)
    assert say(backend, "Hi") == "back"


@pytest.mark.parametrize(
    "behaviour", [blocks(delta("a")), reply(b"<html>"), reply({}, 503), drop, hang(3)], ids=lambda one: ""
)
def test_every_kind_of_failure_opens_the_breaker(make: Make, server: ModelServer, behaviour: Any) -> None:
    server.chat(behaviour)
    backend = make(retries=0, timeout_s=0.3)
    [ask(backend, "Hi").ended() for _ in range(5)]
    assert "keeps failing" in str(ask(backend, "Hi").ended().failed)


def test_hanging_until_the_deadline_opens_the_breaker(make: Make, server: ModelServer) -> None:
    server.chat(hang(5))
    backend = make(retries=0)
    [ask(backend, "Hi", deadline_s=0.2).ended() for _ in range(5)]
    assert "keeps failing" in str(ask(backend, "Hi").ended().failed)


@pytest.mark.parametrize("status", [400, 401, 404, 429])
def test_refusals_do_not_open_the_breaker(make: Make, server: ModelServer, status: int) -> None:
    server.chat(reply({"error": {"message": "no"}}, status))
    backend = make(retries=0)
    [ask(backend, "Hi").ended() for _ in range(7)]
    assert len(server.requests) == 7
