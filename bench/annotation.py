"""What reading messages in the background costs the bot's answers, on a running installation.

    python -m bench.annotation --data .data --rounds 6 --at-once 1
    python -m bench.annotation --data .data --rounds 6 --at-once 4 --pause 1

Contacts ask the demo's bot, each time in a new conversation. Without a pause the next question comes when an answer does:
just when that answer and its question are read, which is the worst there can be. In every other turn nothing is read: the
process that does it (`worker-default`) is stopped, and goes on afterwards. Told is the time from a message's row to the
first token of its answer, as the answer itself notes it.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import httpx
import psutil

from bench.batches import Installation

READER = "worker-default"
A_TURN = 4
PATIENCE_S = 90.0
QUESTIONS = (
    "How do I add labels to a conversation?",
    "How can I search conversations by meaning?",
    "How do I take a conversation over from the bot?",
    "How do I write a private note?",
    "How do I assign a conversation to a colleague?",
    "Where do I change the language of the pages?",
    "How do I resolve a conversation?",
    "Who can use the inbox?",
)


def ask(product: Installation, question: str) -> float | None:
    """Ask in a new conversation; returns the seconds to the first token, or None when no model wrote the answer."""
    talk = product.client.post("/api/v1/conversations", json={"contact": {"name": "Bench"}}).json()["id"]
    path = f"/api/v1/conversations/{talk}/messages"
    asked = product.client.post(path, json={"role": "contact", "text": question}).raise_for_status().json()
    give_up = time.monotonic() + PATIENCE_S
    while time.monotonic() < give_up:
        items = product.client.get(path, params={"after_seq": asked["seq"]}).json()["items"]
        said = next((item for item in items if item["role"] == "bot"), None)
        if said is not None:
            why = product.client.get(f"/api/v1/assistant/replies/{said['id']}").raise_for_status().json()
            first = why.get("stamps", {}).get("first_token")
            return first - datetime.fromisoformat(asked["created_at"]).timestamp() if first else None
        time.sleep(0.2)
    raise TimeoutError(f"no answer to {question!r}")


@contextmanager
def unread(product: Installation) -> Iterator[None]:
    """Nothing is read in the background for the length of the block."""
    first = psutil.Process(json.loads((product.folder / "run.json").read_text())[READER][0])
    processes = [first, *first.children(recursive=True)]
    for process in processes:
        os.kill(process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            os.kill(process.pid, signal.SIGCONT)


def waiting(product: Installation) -> int:
    """Return how many messages wait to be read."""
    with product.database() as connection:
        found = connection.execute(
            "SELECT count(*) FROM jobs_job WHERE kind = 'analysis.message_annotate' AND finished_at IS NULL"
        ).fetchone()
    return int(found[0]) if found else 0


def caught_up(product: Installation) -> None:
    """Wait until every message is read."""
    give_up = time.monotonic() + PATIENCE_S
    while waiting(product) and time.monotonic() < give_up:
        time.sleep(0.2)


def turn(product: Installation, at_once: int, start: int, pause_s: float) -> list[float]:
    """Return the times of as many questions as there are in a turn."""

    def contact(number: int) -> list[float | None]:
        found = []
        for step in range(A_TURN):
            found.append(ask(product, QUESTIONS[(start + number + step) % len(QUESTIONS)]))
            time.sleep(pause_s)
        return found

    with ThreadPoolExecutor(at_once) as threads:
        return [one for some in threads.map(contact, range(at_once)) for one in some if one is not None]


def line(name: str, times: Sequence[float]) -> str:
    ordered = sorted(times)
    median, late = statistics.median(ordered) * 1000, ordered[int(len(ordered) * 0.9)] * 1000
    return f"{name:<22} n={len(ordered)} median {median:.0f} ms, p90 {late:.0f} ms"


def main() -> int:
    """Print the times with and without, in turns."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(".data"), help="data folder of the running installation")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--at-once", type=int, default=1, help="contacts who ask at the same time")
    parser.add_argument("--pause", type=float, default=0.0, help="seconds between an answer and the next question")
    options = parser.parse_args()
    product = Installation(options.data)
    product.client.timeout = httpx.Timeout(PATIENCE_S)
    turn(product, 1, 0, 0.0)
    read: list[float] = []
    alone: list[float] = []
    for number in range(options.rounds):
        # Each begins every other round, so that a slow minute of the machine meets both.
        for reading in (True, False) if number % 2 else (False, True):
            caught_up(product)
            if reading:
                read += turn(product, options.at_once, number, options.pause)
            else:
                with unread(product):
                    alone += turn(product, options.at_once, number, options.pause)
    print(line("messages not read", alone))
    print(line("messages read", read))
    print(f"{statistics.median(read) / statistics.median(alone):.2f}x at {options.at_once} at once")
    return 0


if __name__ == "__main__":
    sys.exit(main())
