"""The remote chat backend against servers that break off, lie, hang or are not there."""

from __future__ import annotations

import socket
import threading
import time
from typing import Any

import pytest

from apps.inference.engine.errors import DeadlineExceeded, ModelUnavailable
from tests.inference.backends.collecting import ask
from tests.inference.backends.remote_chat.asking import Make, failed
from tests.inference.backends.remote_server import (
    DONE,
    ModelServer,
    answer,
    begin_stream,
    blocks,
    delta,
    event,
    hang,
    reply,
)

ERROR = event({"error": {"message": "CUDA out of memory", "type": "server_error", "code": 500}})
BAD_STREAMS = {
    "cut after text": [delta("a")],
    "cut inside a line": [delta("a"), b'data: {"choices": [{"del'],
    "end without a reason": [delta("a"), DONE],
    "nothing at all": [],
    "only the last word": [DONE],
    "one choice missing": [delta("a", finish="stop", index=5), DONE],
    "error inside": [delta("a"), ERROR],
    "error of older servers": [event({"object": "error", "message": "bad", "code": 40303})],
    "aborted": [delta("a", finish="abort"), DONE],
    "no JSON": [b"data: <html>\n\n"],
    "a list": [event([1, 2])],
    "a number": [event(b"5")],
    "choices of another kind": [event({"choices": "abc"})],
    "choice of another kind": [event({"choices": [7]})],
    "text of another kind": [event({"choices": [{"index": 0, "delta": {"content": 5}}]})],
    "index of another kind": [event({"choices": [{"index": "x", "delta": {"content": "a"}}]})],
    "deep": [event(b"[" * 100_000)],
    "an endless line": [b"data: " + b"x" * 700_000, b"x" * 700_000],
    "bytes": [bytes(range(256)) * 50],
}


@pytest.mark.parametrize("name", BAD_STREAMS)
def test_bad_stream_ends_in_an_error(make: Make, server: ModelServer, name: str) -> None:
    server.chat(blocks(*BAD_STREAMS[name]))
    done = ask(make(), "Hi").ended(10)
    assert (type(done.failed).__mro__[1], done.ends) == (ModelUnavailable, 1)


@pytest.mark.parametrize("content", [b"", b"<html>", b"[]", b'{"choices": []}', b'{"a": 1}'])
def test_bad_object_ends_in_an_error(make: Make, server: ModelServer, content: bytes) -> None:
    server.chat(reply(content))
    assert isinstance(failed(make), ModelUnavailable)


def test_error_inside_the_stream_is_told(make: Make, server: ModelServer) -> None:
    server.chat(blocks(ERROR))
    assert "CUDA out of memory" in str(failed(make))


def test_endless_stream_is_cut(make: Make, server: ModelServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.inference.engine.backends.remote_stream.MAX_STREAM_BYTES", 200_000)
    server.chat(blocks(*(delta("y" * 1000) for _ in range(1000))))
    assert "more than a stream may hold" in str(failed(make))


def test_answer_in_an_encoding_is_refused(make: Make, server: ModelServer) -> None:
    """What inflates is not read at all."""
    server.chat(reply(b"\x1f\x8b", 200, {"Content-Encoding": "gzip"}))
    assert "encoding" in str(failed(make))


def test_garbage_instead_of_http_is_told(make: Make) -> None:
    listener = socket.create_server(("127.0.0.1", 0))

    def speak() -> None:
        while True:
            try:
                client = listener.accept()[0]
            except OSError:
                return
            with client:
                client.recv(4096)
                client.sendall(b"SSH-2.0-OpenSSH_9.6\r\n" * 10)

    threading.Thread(target=speak, daemon=True).start()
    port = listener.getsockname()[1]
    error = failed(make, source=f"remote:http://127.0.0.1:{port}/v1", retries=0)
    listener.close()
    assert isinstance(error, ModelUnavailable)


def test_server_that_is_not_there_is_told(make: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    error = failed(make, source=f"remote:http://127.0.0.1:{port}/v1")
    assert isinstance(error, ModelUnavailable)
    assert "connected" in str(error)


def test_hanging_server_is_given_up_after_the_wait(make: Make, server: ModelServer) -> None:
    server.chat(hang())
    began = time.monotonic()
    error = failed(make, timeout_s=0.5)
    assert isinstance(error, ModelUnavailable)
    assert ("stopped sending" in str(error), time.monotonic() - began < 5) == (True, True)


def test_server_that_stops_in_the_middle_is_given_up(make: Make, server: ModelServer) -> None:
    def stall(handler: Any) -> None:
        begin_stream(handler)
        handler.wfile.write(delta("Hal"))
        handler.wfile.flush()
        time.sleep(20)

    server.chat(stall)
    done = ask(make(timeout_s=0.5), "Hi").ended(5)
    assert (done.text(), isinstance(done.failed, ModelUnavailable)) == ("Hal", True)


def test_deadline_ends_a_stream_that_goes_on(make: Make, server: ModelServer) -> None:
    server.chat(answer(*"abcdefghij" * 10, pause_s=0.1))
    done = ask(make(), "Hi", deadline_s=0.6).ended(5)
    assert (isinstance(done.failed, DeadlineExceeded), len(done.text()) > 1, done.ends) == (True, True, 1)
