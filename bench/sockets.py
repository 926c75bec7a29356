"""Words through the product's sockets: an agent's drafts and a visitor's answers, beside the raw engine where it compares.

The questions are those of `bench.retrieval`, on Debian's `developers-reference`. The worker notes when the engine handed
out the first token, and when the first sentence that was released was complete; the sockets note when they showed them.
Both clocks are this machine's.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import websockets

from bench.retrieval.corpus import CHAPTERS, DEVELOPERS_REFERENCE
from bench.retrieval.evaluate import questions
from bench.texts import Messages
from tests.stack import Stack

WAIT_S = 120
INGEST_S = 300


def asked() -> list[str]:
    """Return the questions that have an answer."""
    return [question.text for question in questions("all") if question.places]


def ingest(stack: Stack) -> None:
    """Add the chapters to the demo organisation, wait until they are ready, and let many replies run at once."""
    with stack.client(timeout=INGEST_S) as client:
        ids = []
        for name in CHAPTERS:
            data = (DEVELOPERS_REFERENCE / f"{name}.html").read_bytes()
            files = {"file": (f"{name}.html", data, "text/html")}
            ids.append(client.post("/api/v1/knowledge/sources", files=files).raise_for_status().json()["id"])
        deadline = time.monotonic() + INGEST_S
        while any(
            client.get(f"/api/v1/knowledge/sources/{i}").json()["status"] not in ("ready", "failed") for i in ids
        ):
            if time.monotonic() > deadline:
                raise RuntimeError("the chapters were not ready in time")
            time.sleep(0.5)
        # More than the demo's share may run at once here.
        client.patch("/api/v1/accounts/settings", json={"max_active_replies": 64}).raise_for_status()


@dataclass(frozen=True)
class Draft:
    """What the agent saw: the text, and how long after the engine's first token its first words came."""

    text: str
    added_s: float | None


def conversation_of(stack: Stack, question: str) -> str:
    """Make a conversation in people's hands with the question as its last message; return its id."""
    with stack.client() as client:
        made = client.post("/api/v1/conversations", json={"contact": {"name": "Bench"}}).json()["id"]
        client.patch(f"/api/v1/conversations/{made}", json={"handler": "person"})
        client.post(f"/api/v1/conversations/{made}/messages", json={"role": "contact", "text": question})
    return str(made)


async def _draft(stack: Stack, conversation: str, ready: asyncio.Barrier) -> Draft:
    address = stack.base.replace("http", "ws") + "/ws/inbox"
    async with websockets.connect(address, max_size=2**22) as socket:
        await socket.send(json.dumps({"type": "hello", "api_key": stack.demo["api_key"]}))
        await socket.recv()
        await ready.wait()
        await socket.send(json.dumps({"type": "draft.request", "conversation_id": conversation}))
        first, text = None, ""
        while True:
            frame = json.loads(await asyncio.wait_for(socket.recv(), WAIT_S))
            if frame["type"] == "draft.delta":
                first = first or time.time()
                text += frame["text"]
            elif frame["type"] == "draft.end":
                return Draft(text, first - frame["first_token_at"] if first and frame["first_token_at"] else None)


def drafts(stack: Stack, texts: Sequence[str]) -> tuple[list[Draft], float]:
    """Ask for a draft for each question at once; return them and the seconds from the requests to the last end."""
    made = [conversation_of(stack, text) for text in texts]

    async def go() -> tuple[list[Draft], float]:
        ready = asyncio.Barrier(len(made) + 1)
        writing = [asyncio.ensure_future(_draft(stack, conversation, ready)) for conversation in made]
        await ready.wait()
        began = time.monotonic()
        found = await asyncio.gather(*writing)
        return list(found), time.monotonic() - began

    return asyncio.run(go())


def draft_prompts(stack: Stack, texts: Sequence[str]) -> tuple[list[Messages], int, list[str]]:
    """Return the prompts that the drafts for these questions have, with their most tokens and their stop strings."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nlpsuite.settings.base")
    import django

    django.setup()
    from apps.assistant.services.answering import PROMPTED
    from apps.assistant.services.drafts import MAX_DRAFT_TOKENS
    from apps.assistant.services.prompt import DRAFT_SYSTEM, STOP, answer_prompt, copy_prompt
    from apps.inference.catalogue import catalogue_load

    copies = catalogue_load().default("chat").prompt_style == "copy"
    prompts = []
    with stack.client() as client:
        for text in texts:
            answer = client.get("/api/v1/knowledge/search", params={"q": text, "k": PROMPTED})
            passages: Any = [SimpleNamespace(**found) for found in answer.raise_for_status().json()["results"]]
            turns = copy_prompt(text, passages) if copies else answer_prompt(text, passages, (), system=DRAFT_SYSTEM)
            prompts.append([{"role": turn.role, "content": turn.content} for turn in turns])
    return prompts, MAX_DRAFT_TOKENS, list(STOP)


async def _visit(stack: Stack, question: str) -> tuple[float, str | None]:
    """Ask as a visitor; return the Unix time of the first text and the id of the bot's message."""
    address = stack.base.replace("http", "ws") + "/ws/widget"
    async with websockets.connect(address, origin=stack.base, max_size=2**22) as socket:
        await socket.send(json.dumps({"type": "hello", "widget_token": stack.demo["widget_token"]}))
        await socket.recv()
        await socket.send(json.dumps({"type": "message", "client_id": str(uuid.uuid4()), "text": question}))
        first = 0.0
        while True:
            frame = json.loads(await asyncio.wait_for(socket.recv(), WAIT_S))
            if frame["type"] == "reply.delta":
                first = first or time.time()
            elif frame["type"] == "reply.end":
                return first, frame["message"]["id"] if frame["status"] == "done" else None


def visits(stack: Stack, texts: Sequence[str]) -> dict[str, list[float]]:
    """Ask each question as a visitor, all at once; return seconds by name.

    `release`: decided to show, to shown. `sentence`: the engine completed a sentence that passed, to shown, without the
    check. `check`: the check of one sentence.
    """

    async def go() -> list[tuple[float, str | None]]:
        return list(await asyncio.gather(*(_visit(stack, text) for text in texts)))

    found: dict[str, list[float]] = {"release": [], "sentence": [], "check": []}
    answers = asyncio.run(go())
    with stack.client() as client:
        for first, message in answers:
            why = client.get(f"/api/v1/assistant/replies/{message}").json() if message else {}
            checks = [check for check in why.get("checks", []) if check["sentence"]]
            stamps = why.get("stamps", {})
            found["check"] += [check["ms"] / 1000 for check in checks]
            if first and "first_release" in stamps:
                found["release"].append(first - stamps["first_release"])
            if checks and checks[0]["supported"] and "first_sentence" in stamps:
                found["sentence"].append(first - stamps["first_sentence"] - checks[0]["ms"] / 1000)
    return found
