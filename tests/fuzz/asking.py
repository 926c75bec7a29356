"""Sends one generated request to the product, undoes what it did, and says what is wrong with the answer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import redis
import requests
import schemathesis
from django.conf import settings
from django.db import transaction
from django.test import Client
from schemathesis.generation import GenerationMode

from tests.fuzz.documents import DOCUMENTS
from tests.matrix.world import World

HOST = "http://127.0.0.1"
# Well below every limit by the minute: what is tried here is what stands behind them.
FLUSHED_EVERY = 20
MODELS = ("smollm2-135m-instruct", "all-minilm-l6-v2")


def operations() -> Iterator[tuple[str, Any]]:
    """Yield each operation of each document with the document's name."""
    for name, document in DOCUMENTS.items():
        for result in schemathesis.openapi.from_dict(document).get_all_operations():
            yield name, result.ok()


@dataclass
class Asker:
    """Sends requests with a key of all scopes, or as a signed-in owner; counts them, and keeps what was wrong."""

    world: World
    sent: int = 0
    statuses: dict[int, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    _clients: dict[str, tuple[Client, dict[str, Any]]] = field(default_factory=dict)

    def ask(self, document: str, case: Any) -> None:
        """Send a case of schemathesis; every second one names objects that exist."""
        self.sent += 1
        if self.sent % 2:
            self._make_real(case)
        prepared = requests.Request(**_arguments(case)).prepare()
        parts = urlsplit(prepared.url or "")
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        body = prepared.body.encode() if isinstance(prepared.body, str) else prepared.body or b""
        self.send(document, prepared.method or "GET", target, body, prepared.headers.get("Content-Type", ""))

    def send(self, document: str, method: str, target: str, body: bytes, content_type: str) -> Any:
        """Send a request, undo its effects and look at the answer. Returns the status."""
        if self.sent % FLUSHED_EVERY == 0:
            redis.Redis.from_url(settings.REDIS_URL).flushdb()
        headers = {} if document == "pages" else {"Authorization": f"Bearer {self.world.key}"}
        client, cookies = self._client(document)
        with transaction.atomic():
            answer = client.generic(method, target, body, content_type=content_type or "", headers=headers)
            content = _content(answer)
            transaction.set_rollback(True)
        client.cookies.clear()
        client.cookies.update(cookies)
        self.statuses[answer.status_code] = self.statuses.get(answer.status_code, 0) + 1
        wrong = _wrong(document, target, answer.status_code, content)
        if wrong:
            self.faults.append(
                f"{wrong}: {method} {target[:300]} {content_type[:40]} {body[:300]!r} -> {content[:200]!r}"
            )
        return answer.status_code

    def _client(self, document: str) -> tuple[Client, dict[str, Any]]:
        """Return the one client for a document: with each new one Django builds its middleware again."""
        if document not in self._clients:
            client = Client(raise_request_exception=False, headers={"Host": "127.0.0.1"})
            if document == "pages":
                client.force_login(self.world.owner)
            self._clients[document] = client, dict(client.cookies)
        return self._clients[document]

    def _make_real(self, case: Any) -> None:
        for name in case.path_parameters or {}:
            if name in self.world.ids:
                case.path_parameters[name] = self.world.ids[name]
        if isinstance(case.body, dict):
            if "model" in case.body:
                case.body["model"] = MODELS["input" in case.body or "inputs" in case.body]
            if case.body.get("stream") is True:  # streams have tests of their own
                case.body["stream"] = False


def _content(answer: Any) -> bytes:
    if not answer.streaming:
        return bytes(answer.content)
    # Read to its end, a file closes itself without ending the connection that the next request needs.
    return b"" if answer.is_async else b"".join(answer.streaming_content)


def _arguments(case: Any) -> dict[str, Any]:
    found = case.as_transport_kwargs(base_url=HOST)
    return {
        name: found[name] for name in ("method", "url", "params", "data", "json", "files", "headers") if name in found
    }


def _wrong(document: str, target: str, status: int, content: bytes) -> str:
    """Return what is wrong with an answer, or ""."""
    # 503 says "later", with a reason: no models run here.
    if status >= 500 and status != 503:
        return f"status {status}"
    if status < 400 or document == "pages" or not content:
        return ""
    try:
        error = json.loads(content)["error"]
    except (ValueError, TypeError, KeyError):
        return f"status {status} in another shape"
    if document == "api" and not {"code", "message", "request_id"} <= set(error):
        return "an error without code, message or request_id"
    return ""


def strategies(operation: Any) -> list[Any]:
    """Return strategies of requests that fit the operation's schema and, where there is anything to break, of others."""
    made = [operation.as_strategy(generation_mode=GenerationMode.POSITIVE)]
    if operation.body or operation.query or operation.path_parameters:
        made.append(operation.as_strategy(generation_mode=GenerationMode.NEGATIVE))
    return made
