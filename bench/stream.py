"""What delivery adds, end to end: an agent's draft and a visitor's answer on the running product, 1 and 8 at once.

    python -m bench.stream [--rounds 6]

The prompts are the product's own: three passages of Debian's `developers-reference` and a question, about 600 tokens.
The worker notes when the engine handed out the first token, and when the first sentence that was released was complete;
the sockets note when they showed them. Both clocks are this machine's.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
import uuid
from pathlib import Path

import websockets

from bench.generate import Case, case, quantiles
from bench.retrieval.corpus import CHAPTERS, DEVELOPERS_REFERENCE
from bench.retrieval.evaluate import questions
from tests.stack import Stack

AT_ONCE = (1, 8)


def ingest(stack: Stack) -> None:
    """Add the chapters to the demo organisation and wait until they are ready."""
    with stack.client(timeout=300) as client:
        ids = []
        for name in CHAPTERS:
            data = (DEVELOPERS_REFERENCE / f"{name}.html").read_bytes()
            files = {"file": (f"{name}.html", data, "text/html")}
            ids.append(client.post("/api/v1/knowledge/sources", files=files).raise_for_status().json()["id"])
        while any(
            client.get(f"/api/v1/knowledge/sources/{i}").json()["status"] not in ("ready", "failed") for i in ids
        ):
            time.sleep(0.5)
        # More than the demo's share may run at once here.
        client.patch("/api/v1/accounts/settings", json={"max_active_replies": 64}).raise_for_status()


async def draft(stack: Stack, question: str, conversation: str) -> float | None:
    """Ask for a draft; return the seconds from the engine's first token to the first words at the socket."""
    address = stack.base.replace("http", "ws") + "/ws/inbox"
    async with websockets.connect(address, max_size=2**22) as socket:
        await socket.send(json.dumps({"type": "hello", "api_key": stack.demo["api_key"]}))
        await socket.recv()
        await socket.send(json.dumps({"type": "draft.request", "conversation_id": conversation}))
        first = None
        while True:
            frame = json.loads(await asyncio.wait_for(socket.recv(), 120))
            if frame["type"] == "draft.delta" and first is None:
                first = time.time()
            elif frame["type"] == "draft.end":
                return first - frame["first_token_at"] if first and frame["first_token_at"] else None


async def visit(stack: Stack, question: str) -> tuple[float, str | None]:
    """Ask as a visitor; return the Unix time of the first text and the id of the bot's message."""
    address = stack.base.replace("http", "ws") + "/ws/widget"
    async with websockets.connect(address, origin=stack.base, max_size=2**22) as socket:
        await socket.send(json.dumps({"type": "hello", "widget_token": stack.demo["widget_token"]}))
        await socket.recv()
        await socket.send(json.dumps({"type": "message", "client_id": str(uuid.uuid4()), "text": question}))
        first = 0.0
        while True:
            frame = json.loads(await asyncio.wait_for(socket.recv(), 120))
            if frame["type"] == "reply.delta":
                first = first or time.time()
            elif frame["type"] == "reply.end":
                return first, frame["message"]["id"] if frame["status"] == "done" else None


def conversation_of(stack: Stack, question: str) -> str:
    """Make a conversation in people's hands with the question as its last message; return its id."""
    with stack.client() as client:
        made = client.post("/api/v1/conversations", json={"contact": {"name": "Bench"}}).json()["id"]
        client.patch(f"/api/v1/conversations/{made}", json={"handler": "person"})
        client.post(f"/api/v1/conversations/{made}/messages", json={"role": "contact", "text": question})
    return made


async def measure(stack: Stack, asked: list[str], at_once: int, rounds: int) -> dict[str, list[float]]:
    """Return seconds by name: draft (engine's first token to the agent's first words), release (decided to show, to
    shown to the visitor), sentence (engine completed a sentence that passed, to shown, without the check), check."""
    found: dict[str, list[float]] = {"draft": [], "release": [], "sentence": [], "check": []}
    supply = iter(asked * 50)
    for _ in range(rounds):
        texts = [next(supply) for _ in range(at_once)]
        made = [conversation_of(stack, text) for text in texts]
        drafts = await asyncio.gather(*(draft(stack, t, c) for t, c in zip(texts, made, strict=True)))
        found["draft"] += [value for value in drafts if value is not None]
        visits = await asyncio.gather(*(visit(stack, next(supply)) for _ in range(at_once)))
        with stack.client() as client:
            for first, message in visits:
                why = client.get(f"/api/v1/assistant/replies/{message}").json() if message else {}
                checks = [c for c in why.get("checks", []) if c["sentence"]]
                stamps = why.get("stamps", {})
                found["check"] += [c["ms"] / 1000 for c in checks]
                if first and "first_release" in stamps:
                    found["release"].append(first - stamps["first_release"])
                if checks and checks[0]["supported"] and "first_sentence" in stamps:
                    found["sentence"].append(first - stamps["first_sentence"] - checks[0]["ms"] / 1000)
    return found


def run(rounds: int = 6) -> dict[str, Case]:
    """Start a product of its own, measure, stop it; return the cases."""
    asked = [q.text for q in questions("all") if q.places]
    cases: dict[str, Case] = {}
    with tempfile.TemporaryDirectory(prefix="nlpsuite-bench-") as folder:
        Path(folder).chmod(0o711)
        stack = Stack(Path(folder))
        stack.start()
        try:
            ingest(stack)
            for at_once in AT_ONCE:
                found = asyncio.run(measure(stack, asked, at_once, rounds if at_once > 1 else rounds * 4))
                for name, values in found.items():
                    if values:
                        median, p95 = quantiles(values)
                        label = f"{name}, {at_once} at once (n={len(values)})"
                        cases[f"{label}, median"] = case(median, {}, "ms", higher=False)
                        cases[f"{label}, p95"] = case(p95, {}, "ms", higher=False)
        finally:
            stack.stop()
    return cases


def main() -> None:
    """Print the cases."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=6)
    for name, found in run(parser.parse_args().rounds).items():
        print(f"{name:<40} {found['ours']:8.1f} ms")


if __name__ == "__main__":
    sys.exit(main())
