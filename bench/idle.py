"""What idle sockets cost the database: `python -m bench.idle --sockets 1000 --seconds 40`.

A web process of its own with as many visitors' sockets, each with a conversation in which something was said, and then
silence. Printed: statements and transactions a second, by kind, as pg_stat_statements counts them; how many of them are
the look that every few seconds needs no hint; and the processor time of the web process.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import psutil
import psycopg
import websockets

from bench import scratch
from bench.paths import ROOT

START_S = 60
# Everybody comes from this machine, and at once.
LIMITS = dict.fromkeys(
    ("CONNECTIONS_PER_ADDRESS", "SOCKETS_PER_ADDRESS", "HANDSHAKES_PER_MINUTE", "GREETINGS_PER_ADDRESS",
     "VISITORS_PER_ADDRESS", "MESSAGES_PER_ADDRESS", "GREETINGS_PER_INBOX", "VISITORS_PER_INBOX", "MESSAGES_PER_INBOX"),
    "1000000",
)  # fmt: skip
_COUNTED = """
SELECT sum(calls), sum(calls) FILTER (WHERE query ~* '^(begin|commit|rollback|savepoint|release)'),
       sum(calls) FILTER (WHERE query ~ '"conversations_conversation"'), sum(total_exec_time)
FROM pg_stat_statements JOIN pg_database ON oid = dbid WHERE datname = 'nlpsuite' AND query !~ 'pg_stat'
"""
_COMMON = """
SELECT calls, round(total_exec_time::numeric, 1), left(regexp_replace(query, '\\s+', ' ', 'g'), 90)
FROM pg_stat_statements WHERE query !~ 'pg_stat' ORDER BY calls DESC LIMIT 6
"""


@contextmanager
def web() -> Iterator[tuple[str, psutil.Process]]:
    """Start the web process on the scratch servers; gives its address and itself."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, **LIMITS, "HOST": "127.0.0.1", "PORT": str(port)}
    process = subprocess.Popen([sys.executable, "manage.py", "web"], cwd=ROOT, env=environment)
    base = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + START_S
        while True:
            try:
                httpx.get(f"{base}/healthz", timeout=2).raise_for_status()
                break
            except httpx.HTTPError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
        yield base, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(30)


async def visitor(base: str, token: str, gate: asyncio.Semaphore) -> Any:
    """Open a socket, say something, and keep quiet."""
    async with gate:
        connection = await websockets.connect(base.replace("http", "ws") + "/ws/widget", origin=base, open_timeout=60)
        await connection.send(json.dumps({"type": "hello", "widget_token": token}))
        await connection.recv()
        await connection.send(json.dumps({"type": "message", "client_id": str(uuid.uuid4()), "text": "Hello."}))
        while json.loads(await asyncio.wait_for(connection.recv(), 60))["type"] != "ack":
            pass
        return connection


async def measure(base: str, process: psutil.Process, token: str, sockets: int, seconds: float) -> None:
    """Connect, wait until all is quiet, count."""
    gate = asyncio.Semaphore(16)
    began = time.perf_counter()
    open_now = await asyncio.gather(*(visitor(base, token, gate) for _ in range(sockets)))
    print(f"{sockets} sockets, each with a conversation, in {time.perf_counter() - began:.0f} s", flush=True)
    await asyncio.sleep(10)
    with psycopg.connect(scratch.superuser(), autocommit=True) as server:
        server.execute("SELECT pg_stat_statements_reset()")
        before = process.cpu_times()
        await asyncio.sleep(seconds)
        after = process.cpu_times()
        counted = server.execute(_COUNTED).fetchone() or ()
        calls, frames, looks, took = (float(number or 0) / seconds for number in counted)
        common = server.execute(_COMMON).fetchall()
    cpu = (after.user + after.system - before.user - before.system) / seconds
    print(f"{calls:.1f} statements a second: {frames:.1f} begin or end a transaction, {looks:.2f} read conversations;")
    print(f"{took:.1f} ms of the database and {cpu * 100:.1f} % of a processor of the web process each second")
    for count, milliseconds, query in common:
        print(f"  {count:>7} calls {milliseconds:>8} ms  {query}")
    await asyncio.gather(*(one.close() for one in open_now))


def main() -> None:
    """Start, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sockets", type=int, default=1_000)
    parser.add_argument("--seconds", type=float, default=40.0)
    options = parser.parse_args()
    tenant_id = scratch.start(shared_preload_libraries="pg_stat_statements")
    from apps.conversations.services import inbox_create, inbox_update

    inbox = inbox_create(tenant_id=tenant_id, name="Bench")
    # Nobody waits for the bot, which is not there: after a while the visitor is handed over to people.
    inbox_update(tenant_id=tenant_id, inbox_id=inbox.id, changes={"bot_enabled": False}, actor="bench")
    with psycopg.connect(scratch.superuser(), autocommit=True) as server:
        server.execute("CREATE EXTENSION pg_stat_statements")
    with web() as (base, process):
        asyncio.run(measure(base, process, inbox.widget_token, options.sockets, options.seconds))


if __name__ == "__main__":
    main()
