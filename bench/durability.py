"""Visitors talk while processes are killed: what was acknowledged, lost, doubled, out of order, left unfinished (A1-A3, A6).

    python -m bench.durability --sockets 200 --messages 10000 --kills 5

Each visitor keeps a ledger of its own: what it sent, what was acknowledged with which seq, and what it was shown. The
ledger is compared with the API at the end. A socket is cut and taken up again (`after_seq`) after each kill, and by
itself now and then, one time in ten between a message and its acknowledgement; an unacknowledged message is sent again
with the same client_id. At the end each visitor comes back once more: what it was shown must be what is stored.

Zero failures in N trials claim at most 3/N with 95 % confidence: N is printed with each zero.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import sys
import tempfile
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
import websockets

from tests.stack import ONE_ADDRESS, Stack

ROLES = ("web", "worker-inference", "dispatcher", "valkey", "worker-default")
ACK_WAIT_S = 15
CUT_EVERY = 40
CUT_BEFORE_ACK = 0.1
PROMISES = ("lost", "doubled", "gaps", "wrong_seq", "moved", "shown_twice", "unseen")
PERCENTILES = {"median": 0.5, "p95": 0.95, "p99": 0.99}
QUESTIONS = (
    "How do I make a backup?",
    "Which formats can I add?",
    "How do I put the widget on my site?",
    "Thanks!",
    "What is the weather like?",
)


@dataclass
class Visitor:
    """One visitor's ledger."""

    number: int
    token: str | None = None
    conversation: str | None = None
    seq: int = 0
    acked: dict[str, int] = field(default_factory=dict)
    shown: dict[int, str] = field(default_factory=dict)
    moved: int = 0
    repeats: int = 0
    pending: tuple[str, str] | None = None
    resent: int = 0
    ack_s: list[float] = field(default_factory=list)

    def see(self, seq: int, text: str, *, own: bool = False) -> None:
        """Note a message; `seq` moves over what has come without a hole, and is where a reconnect goes on.

        A message of one's own comes again when its acknowledgement was ahead of what was shown before it.
        """
        if seq in self.shown and not own and seq not in self.acked.values():
            self.repeats += 1
        self.shown[seq] = text
        while self.seq + 1 in self.shown:
            self.seq += 1


class Run:
    """A run against one stack."""

    def __init__(self, stack: Stack, sockets: int, messages: int, seed: int = 1) -> None:
        self.stack, self.target = stack, messages
        self.visitors = [Visitor(number) for number in range(sockets)]
        self.random = random.Random(seed)
        self.killed: Counter[str] = Counter()
        self.stop = False
        self.began = time.monotonic()

    @property
    def acknowledged(self) -> int:
        return sum(len(v.acked) for v in self.visitors)

    # -- visitors ----------------------------------------------------------------------------------------------------
    async def talk(self, visitor: Visitor) -> None:
        """Send messages until the run has enough; come back after every cut."""
        while not self.stop:
            try:
                address = self.stack.base.replace("http", "ws") + "/ws/widget"
                async with websockets.connect(address, origin=self.stack.base, open_timeout=10, max_size=2**22) as ws:
                    await self._hello(ws, visitor)
                    await self._send_until_cut(ws, visitor)
            except (OSError, websockets.WebSocketException, TimeoutError, ConnectionError):
                await asyncio.sleep(self.random.uniform(0.2, 1.5))

    async def _hello(self, ws: Any, visitor: Visitor) -> None:
        hello: dict[str, Any] = {"type": "hello", "widget_token": self.stack.demo["widget_token"]}
        if visitor.token:
            hello |= {"visitor_token": visitor.token, "conversation_id": visitor.conversation, "after_seq": visitor.seq}
        await ws.send(json.dumps(hello))
        frame = await self._until(ws, visitor, "welcome")
        if visitor.conversation not in (None, frame["conversation_id"]):
            visitor.moved += 1
        visitor.token, visitor.conversation = frame["visitor_token"], frame["conversation_id"]
        for message in frame["messages"]:
            visitor.see(message["seq"], message["text"])

    async def _send_until_cut(self, ws: Any, visitor: Visitor) -> None:
        for _ in range(self.random.randint(CUT_EVERY // 2, CUT_EVERY * 2)):
            if self.stop:
                return
            visitor.resent += visitor.pending is not None
            if visitor.pending is None:
                text = self.random.choice(QUESTIONS)
                visitor.pending = (str(uuid.uuid4()), f"{text} ({visitor.number}-{len(visitor.acked)})")
            client_id, text = visitor.pending
            began = time.monotonic()
            await ws.send(json.dumps({"type": "message", "client_id": client_id, "text": text}))
            if self.random.random() < CUT_BEFORE_ACK:
                return
            frame = await self._until(ws, visitor, "ack", client_id)
            visitor.ack_s.append(time.monotonic() - began)
            visitor.acked[text] = frame["seq"]
            visitor.see(frame["seq"], text, own=True)
            visitor.pending = None
            await asyncio.sleep(self.random.uniform(0.5, 2.5))

    async def _until(self, ws: Any, visitor: Visitor, kind: str, client_id: str | None = None) -> dict[str, Any]:
        deadline = time.monotonic() + ACK_WAIT_S
        while True:
            frame = json.loads(await asyncio.wait_for(ws.recv(), max(0.01, deadline - time.monotonic())))
            if frame["type"] == "error":
                raise ConnectionError(frame["code"])
            if frame["type"] == "message" or (frame["type"] == "reply.end" and frame.get("message")):
                visitor.see(frame["message"]["seq"], frame["message"]["text"])
            if frame["type"] == kind and frame.get("client_id") == client_id:
                return frame

    async def come_back(self, last: dict[str, int]) -> None:
        """Let every visitor see what is left, up to the seq in `last`; whoever does not is found by `verdict`."""
        gate = asyncio.Semaphore(20)

        async def one(visitor: Visitor) -> None:
            async with gate:
                with contextlib.suppress(OSError, websockets.WebSocketException, TimeoutError, ConnectionError):
                    address = self.stack.base.replace("http", "ws") + "/ws/widget"
                    async with websockets.connect(address, origin=self.stack.base, max_size=2**22) as ws:
                        await self._hello(ws, visitor)
                        while visitor.seq < last[visitor.conversation or ""]:
                            await self._until(ws, visitor, "message")

        await asyncio.gather(*(one(v) for v in self.visitors if v.conversation in last))

    # -- faults ------------------------------------------------------------------------------------------------------
    async def kill(self, times: int, pause_s: float) -> None:
        """Kill each role `times` times, in a shuffled order, with time to come back in between."""
        order = [role for role in ROLES for _ in range(times)]
        self.random.shuffle(order)
        for role in order:
            await asyncio.sleep(pause_s)
            try:
                for pid in self.stack.roles()[role]:
                    psutil.Process(pid).kill()
                    self.killed[role] += 1
            except (psutil.Error, KeyError, OSError, ValueError) as error:
                print(f"kill {role}: {error!r}", file=sys.stderr)

    async def go(self, kills: int, pause_s: float, time_limit_s: float) -> None:
        """Talk and kill until enough is acknowledged and every kill was made, or time is up."""
        talkers = [asyncio.ensure_future(self.talk(v)) for v in self.visitors]
        killer = asyncio.ensure_future(self.kill(kills, pause_s))
        while time.monotonic() - self.began < time_limit_s:
            await asyncio.sleep(1)
            done = f"{self.acknowledged}/{self.target} acknowledged, {sum(self.killed.values())} kills"
            print(f"\r{time.monotonic() - self.began:5.0f} s  {done}", end="", file=sys.stderr, flush=True)
            if self.acknowledged >= self.target and killer.done():
                break
        self.stop = True
        await asyncio.wait([*talkers, killer], timeout=ACK_WAIT_S + 5)
        for task in (*talkers, killer):
            task.cancel()

    # -- verdict -----------------------------------------------------------------------------------------------------
    def verdict(self) -> dict[str, Any]:
        """Compare the ledgers with the API. `unseen` counts stored messages that their visitor was not shown as stored."""
        found, stored = Counter[str](), {}
        with self.stack.client() as client:
            for visitor in self.visitors:
                if visitor.conversation and visitor.acked:
                    stored[visitor.conversation] = self._messages(client, visitor.conversation)
        asyncio.run(self.come_back({name: rows[-1]["seq"] for name, rows in stored.items()}))
        for visitor in self.visitors:
            if visitor.conversation in stored:
                found.update(self._compare(visitor, stored[visitor.conversation]))
        acks = sorted(s for v in self.visitors for s in v.ack_s)
        share = {name: round(acks[int(len(acks) * part)] * 1000) for name, part in PERCENTILES.items()} if acks else {}
        return {
            **{name: found[name] for name in PROMISES},
            "conversations": len(stored),
            "acknowledged": self.acknowledged,
            "sent_again": sum(v.resent for v in self.visitors),
            "stored": sum(len(rows) for rows in stored.values()),
            "killed": dict(self.killed),
            "ack_ms": share,
            "seconds": round(time.monotonic() - self.began),
        }

    def _compare(self, visitor: Visitor, rows: list[dict[str, Any]]) -> dict[str, int]:
        texts = [row["text"] for row in rows if row["role"] == "contact"]
        seqs = {row["text"]: row["seq"] for row in rows if row["role"] == "contact"}
        return {
            "lost": sum(text not in seqs for text in visitor.acked),
            "doubled": len(texts) - len(set(texts)),
            "gaps": [row["seq"] for row in rows] != list(range(1, len(rows) + 1)),
            "wrong_seq": sum(seqs.get(text) not in (None, seq) for text, seq in visitor.acked.items()),
            "moved": visitor.moved,
            "shown_twice": visitor.repeats,
            "unseen": sum(visitor.shown.get(row["seq"]) != row["text"] for row in rows),
        }

    def _messages(self, client: httpx.Client, conversation: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        while True:
            params = {"after_seq": rows[-1]["seq"] if rows else 0, "limit": 100}
            page = client.get(f"/api/v1/conversations/{conversation}/messages", params=params).raise_for_status().json()
            rows += page["items"]
            if not page["has_more"]:
                return rows

    def unfinished(self, wait_s: float = 90) -> tuple[int, float]:
        """Return how many runs of the bot are neither done nor marked after `wait_s`, and how long they took to end."""
        began = time.monotonic()
        while (left := self.stack.replies_active()) and time.monotonic() - began < wait_s:
            time.sleep(0.5)
        return left, round(time.monotonic() - began, 1)


def measure(stack: Stack, *, sockets: int, messages: int, kills: int, pause_s: float, limit_s: float) -> dict[str, Any]:
    """Run against a started stack and return the verdict."""
    with stack.client() as client:
        # Otherwise two abstentions in a row hand a conversation over, and the bot is silent from then on.
        client.patch("/api/v1/accounts/settings", json={"handoff_after_abstentions": 10}).raise_for_status()
    run = Run(stack, sockets, messages)
    asyncio.run(run.go(kills, pause_s, limit_s))
    stack.wait_ready()
    left, waited_s = run.unfinished()
    rows = stack.query("SELECT status || ' ' || error_code, count(*) FROM assistant_reply GROUP BY 1 ORDER BY 1")
    replies = {name.strip(): count for name, count in rows}
    return {**run.verdict(), "unfinished_replies": left, "replies_ended_after_s": waited_s, "replies": replies}


def main() -> None:
    """Start a product of its own, run, print the verdict; exit 1 when a promise did not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sockets", type=int, default=200)
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=5, help="of each role")
    parser.add_argument("--pause", type=float, default=10, help="seconds between kills")
    parser.add_argument("--limit", type=float, default=1500, help="seconds at most")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="nlpsuite-bench-") as folder:
        Path(folder).chmod(0o711)
        stack = Stack(Path(folder), **ONE_ADDRESS)
        stack.start()
        try:
            verdict = measure(
                stack,
                sockets=options.sockets,
                messages=options.messages,
                kills=options.kills,
                pause_s=options.pause,
                limit_s=options.limit,
            )
        finally:
            stack.stop()
    print()
    print(json.dumps(verdict, indent=1))
    sys.exit(any(verdict[name] for name in (*PROMISES, "unfinished_replies")))


if __name__ == "__main__":
    main()
