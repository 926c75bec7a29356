"""What OpenAI's completions look like, whole and in pieces.

A chunk is put together from prepared strings: 32 streams share the web process with everything else, and only the new
text has to become JSON.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from apps.core.ids import new_id
from apps.inference.types import ModelInfo, Piece, TokenLogprob

DONE = b"data: [DONE]\n\n"
PING = b": ping\n\n"


@dataclass(slots=True)
class Choice:
    """What one choice has become so far. `chars` counts its text, for the offsets of tokens."""

    texts: list[str] = field(default_factory=list)
    logprobs: list[TokenLogprob] = field(default_factory=list)
    finish_reason: str = "stop"

    @property
    def text(self) -> str:
        return "".join(self.texts)


def _dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def usage_of(prompt_tokens: int, completion_tokens: int) -> dict[str, int]:
    """Return OpenAI's count of tokens."""
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
    }


class Shape:
    """One completion: an id, and how its parts are written. `with_logprobs`, `include_usage`: the caller asked for them."""

    prefix = ""
    whole_object = ""
    chunk_object = ""
    prompt_param = ""

    def __init__(self, model: ModelInfo, *, with_logprobs: bool, include_usage: bool = False) -> None:
        self._with_logprobs, self.include_usage = with_logprobs, include_usage
        self._envelope = {
            "id": f"{self.prefix}-{new_id().hex}",
            "object": self.whole_object,
            "created": int(time.time()),
            "model": model.name,
            "system_fingerprint": _fingerprint(model),
        }
        opened = _dumps({**self._envelope, "object": self.chunk_object})[:-1]
        self._head = f'data: {opened},"choices":[{{"index":'
        self._tail = ',"usage":null}\n\n' if include_usage else "}\n\n"
        self._usage_head = f'data: {opened},"choices":[],"usage":'

    def start(self, index: int) -> bytes:
        """Return what opens the stream of choice `index`."""
        raise NotImplementedError

    def piece(self, index: int, piece: Piece, offset: int) -> bytes:
        """Return the chunk of new text; `offset` is how many characters of the choice came before it."""
        raise NotImplementedError

    def finish(self, index: int, reason: str) -> bytes:
        """Return the chunk that ends choice `index`."""
        raise NotImplementedError

    def choice(self, index: int, choice: Choice) -> dict[str, Any]:
        """Return a choice of a whole answer."""
        raise NotImplementedError

    def usage(self, prompt_tokens: int, completion_tokens: int) -> bytes:
        """Return the chunk that counts tokens. Its list of choices is empty, and not null, which breaks clients."""
        return f"{self._usage_head}{_dumps(usage_of(prompt_tokens, completion_tokens))}}}\n\n".encode()

    def whole(self, choices: Sequence[Choice], prompt_tokens: int, completion_tokens: int) -> dict[str, Any]:
        """Return the answer to a request without `stream`."""
        listed = [self.choice(index, choice) for index, choice in enumerate(choices)]
        return {**self._envelope, "choices": listed, "usage": usage_of(prompt_tokens, completion_tokens)}

    def _chunk(self, index: int, part: str, logprobs: str, reason: str) -> bytes:
        text = f'{self._head}{index},{part},"logprobs":{logprobs},"finish_reason":{reason}}}]{self._tail}'
        return text.encode("utf-8", "replace")


class ChatShape(Shape):
    """chat.completion and chat.completion.chunk."""

    prefix, whole_object, chunk_object = "chatcmpl", "chat.completion", "chat.completion.chunk"
    prompt_param = "messages"

    def start(self, index: int) -> bytes:
        return self._chunk(index, '"delta":{"role":"assistant","content":"","refusal":null}', "null", "null")

    def piece(self, index: int, piece: Piece, offset: int) -> bytes:
        logprobs = _dumps(_chat_logprobs(piece.logprobs)) if self._with_logprobs else "null"
        return self._chunk(index, f'"delta":{{"content":{_dumps(piece.text)}}}', logprobs, "null")

    def finish(self, index: int, reason: str) -> bytes:
        return self._chunk(index, '"delta":{}', "null", _dumps(reason))

    def choice(self, index: int, choice: Choice) -> dict[str, Any]:
        return {
            "index": index,
            "message": {"role": "assistant", "content": choice.text, "refusal": None},
            "logprobs": _chat_logprobs(choice.logprobs) if self._with_logprobs else None,
            "finish_reason": choice.finish_reason,
        }


class CompletionShape(Shape):
    """text_completion, whole and in chunks."""

    prefix, whole_object, chunk_object = "cmpl", "text_completion", "text_completion"
    prompt_param = "prompt"

    def start(self, index: int) -> bytes:
        return b""

    def piece(self, index: int, piece: Piece, offset: int) -> bytes:
        logprobs = _dumps(_completion_logprobs(piece.logprobs, offset)) if self._with_logprobs else "null"
        return self._chunk(index, f'"text":{_dumps(piece.text)}', logprobs, "null")

    def finish(self, index: int, reason: str) -> bytes:
        return self._chunk(index, '"text":""', "null", _dumps(reason))

    def choice(self, index: int, choice: Choice) -> dict[str, Any]:
        return {
            "index": index,
            "text": choice.text,
            "logprobs": _completion_logprobs(choice.logprobs, 0) if self._with_logprobs else None,
            "finish_reason": choice.finish_reason,
        }


def _fingerprint(model: ModelInfo) -> str:
    """Say which weights and backend answered: with the same fingerprint the same seed may be expected to repeat."""
    digest = hashlib.sha256(f"{model.name}\0{model.revision}\0{model.backend}".encode()).hexdigest()
    return f"fp_{digest[:10]}"


def _chat_logprobs(tokens: Sequence[TokenLogprob]) -> dict[str, Any]:
    content = [
        {
            **_token(token.text, token.logprob),
            "top_logprobs": [_token(text, logprob) for text, logprob in token.top],
        }
        for token in tokens
    ]
    return {"content": content, "refusal": None}


def _token(text: str, logprob: float) -> dict[str, Any]:
    return {"token": text, "logprob": logprob, "bytes": list(text.encode("utf-8", "replace"))}


def _completion_logprobs(tokens: Sequence[TokenLogprob], offset: int) -> dict[str, Any]:
    """Return the older form; offsets are characters into the choice's own text."""
    offsets = []
    for token in tokens:
        offsets.append(offset)
        offset += len(token.text)
    return {
        "tokens": [token.text for token in tokens],
        "token_logprobs": [token.logprob for token in tokens],
        "top_logprobs": [dict(token.top) for token in tokens],
        "text_offset": offsets,
    }
