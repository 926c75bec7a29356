"""B7: parts of the product that are told to stop under load end in time and lose nothing that was acknowledged.

`SHUTDOWNS` (default 4: each part once) says how often; 24 were run for the figures in SECURITY.md.
"""

from __future__ import annotations

import json
import os
import threading
import time
import uuid
from typing import Any

import httpx
import psutil
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.stack import Stack

pytestmark = [pytest.mark.stack, pytest.mark.models, pytest.mark.timeout(3000)]
TIMES = int(os.environ.get("SHUTDOWNS", "4"))
PARTS = ("worker-inference", "web", "worker-default", "dispatcher")
WRITERS = 3
EVERY_S = 0.5


class Visitors:
    """Write messages over the API, each again and again under its own key until it is acknowledged."""

    def __init__(self, stack: Stack) -> None:
        self.acknowledged: list[str] = []
        self._stack, self._stop = stack, threading.Event()
        self._threads = [threading.Thread(target=self._write, daemon=True) for _ in range(WRITERS)]
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(120)

    def _post(self, client: httpx.Client, path: str, body: dict[str, Any]) -> dict[str, Any]:
        key = uuid.uuid4().hex
        while True:
            try:
                response = client.post(path, json=body, headers={"Idempotency-Key": key})
                if response.status_code in {200, 201, 202}:
                    return response.json()
            except httpx.HTTPError:
                pass
            time.sleep(0.2)

    def _write(self) -> None:
        with self._stack.client(timeout=20) as client:
            while not self._stop.is_set():
                made = self._post(client, "/api/v1/conversations", {"contact": {"name": "Visitor"}})
                path = f"/api/v1/conversations/{made['id']}/messages"
                posted = self._post(
                    client, path, {"text": "How do I put the chat widget on my site?", "role": "contact"}
                )
                self.acknowledged.append(posted["id"])
                self._stop.wait(EVERY_S)


def test_parts_that_are_told_to_stop_under_load_end_in_time_and_lose_nothing(stack: Stack) -> None:
    visitors = Visitors(stack)
    took: list[float] = []
    for number in range(TIMES):
        time.sleep(2)
        part = PARTS[number % len(PARTS)]
        process = psutil.Process(stack.roles()[part][0])
        began = time.monotonic()
        process.terminate()
        process.wait(40)
        took.append(time.monotonic() - began)
        stack.wait_ready(120)
    visitors.end()
    give_up = time.monotonic() + 240
    while stack.replies_active() and time.monotonic() < give_up:
        time.sleep(0.5)
    ids = ", ".join(f"'{one}'" for one in visitors.acknowledged)
    found = stack.query(f"SELECT count(*), count(DISTINCT id) FROM conversations_message WHERE id IN ({ids})")[0]
    print(
        f"{TIMES} stops, longest {max(took):.1f} s; {len(visitors.acknowledged)} messages acknowledged, {found[0]} there"
    )
    assert max(took) <= 30
    assert found == (len(visitors.acknowledged), len(visitors.acknowledged))
    assert stack.replies_active() == 0


def drain(socket: Any) -> None:
    """Read until the server closes."""
    while True:
        socket.recv(30)


def test_a_socket_is_told_that_the_server_restarts(stack: Stack) -> None:
    address = f"ws://127.0.0.1:{stack.port}/ws/inbox"
    with connect(address) as socket:
        socket.send(json.dumps({"type": "hello", "api_key": stack.demo["api_key"]}))
        assert json.loads(socket.recv(20))["type"] != "error"
        psutil.Process(stack.roles()["web"][0]).terminate()
        with pytest.raises(ConnectionClosed) as closed:
            drain(socket)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1012
    stack.wait_ready()
