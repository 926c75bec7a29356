"""Reads the streams of OpenAI-compatible servers: server-sent events, and the chunks inside them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from apps.inference.engine.backends.remote_link import ServerFailure, error_of
from apps.inference.engine.types import FinishReason, GenerateRequest, GenerateStats, Piece, TokenLogprob

MAX_LINE_BYTES = 1 << 20
MAX_STREAM_BYTES = 64 << 20
_DONE = "[DONE]"


class EventLines:
    """Turns blocks of bytes into the data of server-sent events. Comments and other fields are dropped."""

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[str] = []
        self._total = 0

    def feed(self, block: bytes) -> Iterator[str]:
        """Yield the events that `block` completes. Raises ServerFailure at the bounds."""
        self._total += len(block)
        *lines, self._rest = (self._rest + block).split(b"\n")
        if self._total > MAX_STREAM_BYTES or max(map(len, (self._rest, *lines))) > MAX_LINE_BYTES:
            raise ServerFailure("the server sent more than a stream may hold")
        for line in lines:
            yield from self._line(line.removesuffix(b"\r"))

    def flush(self) -> Iterator[str]:
        """Yield what the stream ended with, when its last blank line is missing."""
        yield from self._line(self._rest.removesuffix(b"\r"))
        yield from self._line(b"")

    def _line(self, line: bytes) -> Iterator[str]:
        if line.startswith(b"data:"):
            self._data.append(line[5:].decode("utf-8", "replace").removeprefix(" "))
        elif not line and self._data:
            data, self._data = "\n".join(self._data), []
            yield data


class Answer:
    """What one request has received so far. `take` raises ServerFailure for what is no chunk of such a stream."""

    def __init__(self, request: GenerateRequest) -> None:
        self._count = request.n
        self._logprobs = request.logprobs
        self._reasons: dict[int, FinishReason] = {}
        self._tokens = 0
        self._usage: dict[str, Any] = {}
        # `begun`: the server has sent something that is part of an answer; `done`: it has sent its last word.
        self.begun = self.done = False

    def take(self, data: str) -> list[Piece]:
        """Return the pieces in one event's data."""
        if data.strip() == _DONE:
            self.done = True
            return []
        try:
            content = json.loads(data)
            if not isinstance(content, dict):
                raise TypeError("no object")
            if content.get("error") or content.get("object") == "error":
                raise ServerFailure(f"the server broke off: {error_of(content)[1]}")
            return self._chunk(content)
        except (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError) as error:
            raise ServerFailure("the server sent something that is no part of an answer") from error

    def end(self) -> GenerateStats:
        """Return the figures at the end of the stream. Raises ServerFailure when an answer is not complete."""
        if len(self._reasons) < self._count:
            raise ServerFailure("the server broke off before the answer was complete")
        reasons = tuple(self._reasons[index] for index in range(self._count))
        prompt = int(self._usage.get("prompt_tokens") or 0)
        completion = int(self._usage.get("completion_tokens") or self._tokens)
        return GenerateStats(prompt, completion, 0.0, 0.0, reasons[0], reasons)

    @property
    def cached_tokens(self) -> int:
        """How many tokens of the prompt the server says it did not compute again."""
        return int((self._usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0)

    def _chunk(self, content: dict[str, Any]) -> list[Piece]:
        self.begun = True
        if isinstance(content.get("usage"), dict):
            self._usage = content["usage"]
        # Some servers send null with the usage where the others send an empty list.
        return [piece for choice in content.get("choices") or [] for piece in self._choice(choice)]

    def _choice(self, choice: dict[str, Any]) -> list[Piece]:
        index = int(choice.get("index") or 0)
        if not 0 <= index < self._count:
            # Beam search may return every beam.
            return []
        part = choice.get("delta") or choice.get("message") or {}
        text = choice.get("text") if "text" in choice else part.get("content")
        if text is not None and not isinstance(text, str):
            raise TypeError("text is no string")
        reason = choice.get("finish_reason")
        if reason is not None:
            if reason in ("abort", "error"):
                raise ServerFailure("the server gave the answer up")
            self._reasons[index] = "length" if reason == "length" else "stop"
        logprobs = _logprobs(choice.get("logprobs"), self._logprobs)
        if not text and not logprobs:
            return []
        tokens = len(logprobs) or 1
        self._tokens += tokens
        return [Piece(text or "", tokens, index, logprobs)]


def _logprobs(given: Any, top: int | None) -> tuple[TokenLogprob, ...]:
    if top is None or not given:
        return ()
    if given.get("content") is not None:
        return tuple(
            TokenLogprob(
                str(one["token"]),
                float(one["logprob"]),
                tuple(
                    (str(other["token"]), float(other["logprob"])) for other in (one.get("top_logprobs") or [])[:top]
                ),
            )
            for one in given["content"]
        )
    # The older shape, of plain completions: lists side by side; the first token of an echo has no value.
    tokens, values = given.get("tokens") or [], given.get("token_logprobs") or []
    others = given.get("top_logprobs") or [None] * len(tokens)
    return tuple(
        TokenLogprob(str(token), float(value or 0.0), _ranked(alternatives, top))
        for token, value, alternatives in zip(tokens, values, others, strict=True)
    )


def _ranked(alternatives: dict[str, float] | None, top: int) -> tuple[tuple[str, float], ...]:
    pairs = sorted((alternatives or {}).items(), key=lambda pair: -pair[1])
    return tuple((str(text), float(value)) for text, value in pairs[:top])
