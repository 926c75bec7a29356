"""Chat backend over OpenAI-compatible servers: vLLM, SGLang, llama-server, another installation of this product."""

from __future__ import annotations

import asyncio
import logging
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import httpx

from apps.inference.engine.backends.remote_link import RemoteLink, read_all
from apps.inference.engine.backends.remote_stream import MAX_STREAM_BYTES, Answer, EventLines
from apps.inference.engine.base import Sink
from apps.inference.engine.errors import DeadlineExceeded, EngineError, ModelUnavailable, Overloaded, Unsupported
from apps.inference.engine.types import (
    Capability,
    ChatCounters,
    EngineConfig,
    GenerateRequest,
    GenerateStats,
    ModelSpec,
    Piece,
)

logger = logging.getLogger(__name__)

_TIMEOUT_S = 60.0
# The server's vocabulary is not at hand, so what the usual chat templates use is broken up.
_MARKERS = re.compile(
    r"<\|[^<>|]{1,40}\|>|</?s>|\[/?(?:INST|SYSTEM_PROMPT)\]|<</?SYS>>|<(?:start|end)_of_turn>|<(?:bos|eos|pad|unk)>"
)
_DEFAULT: frozenset[Capability] = frozenset(
    ("seed", "logprobs", "top_logprobs", "json_schema", "min_p", "prompt", "adapters")
)


class RemoteChat:
    """Sends each generation to a server and passes its stream on.

    Source: `remote:<base URL>`, the URL that an OpenAI client would be given (usually ending in /v1).
    Options: those of RemoteOptions, `timeout_s` 60 by default; `capabilities` lists what the server can do ("beams" is
    vLLM's, and not assumed); `json_schema` is "response_format" or, for older vLLM, "guided_json".
    Adapters: `adapters` maps names to `remote:<the name under which the server serves the adapter>`.
    Tokens of a piece are counted from log-probabilities where asked for, else one for each chunk; the end has the
    server's own count.
    """

    capabilities: frozenset[Capability] = _DEFAULT

    def __init__(self, spec: ModelSpec, path: Path, config: EngineConfig) -> None:
        self._spec = spec
        self._link = RemoteLink(spec, config, health_path="models", timeout_s=_TIMEOUT_S)
        self.slots = self._link.options.slots
        self.capabilities = _capabilities(spec)
        self._lock = threading.Lock()
        self._active: dict[int, _Stream] = {}
        self._next_id = 1
        self._counters = ChatCounters()

    def load(self) -> None:
        """Check the settings; a server that is down is only logged, since it may come back. Raises ModelUnavailable."""
        self._link.open()
        if not self._link.health():
            logger.warning("the server of %s does not answer yet", self._spec.name)

    def start(self, request: GenerateRequest, sink: Sink, *, deadline_s: float) -> Callable[[], None]:
        """Begin a generation. Raises Overloaded above `slots`, Unsupported, ModelUnavailable when stopped."""
        sent = self._request(request)
        with self._lock:
            if len(self._active) >= self.slots:
                raise Overloaded(f"{self.slots} generations of {self._spec.name} are running")
            stream_id, self._next_id = self._next_id, self._next_id + 1
            stream = _Stream(sink)
            self._active[stream_id] = stream
        try:
            future = self._link.submit(self._generate(stream_id, stream, sent, deadline_s))
        except ModelUnavailable:
            self._leave(stream_id)
            raise

        def cancel() -> None:
            stream.shut()
            self._leave(stream_id)
            # Cancels the coroutine on the loop's thread, and that closes the connection there and then.
            future.cancel()

        return cancel

    def health(self) -> bool:
        """Return whether the server lists its models within 5 s."""
        return self._link.health()

    def info(self) -> ChatCounters:
        """Return what the servers' usage figures add up to."""
        with self._lock:
            kept = self._counters
            return ChatCounters(kept.prompt_tokens, kept.cached_tokens, kept.generated_tokens)

    def stop(self) -> None:
        """Close all connections; active generations end with ModelUnavailable."""
        with self._lock:
            active, self._active = list(self._active.values()), {}
        for stream in active:
            stream.error(ModelUnavailable(f"{self._spec.name} is stopping"))
        self._link.close()

    # -- inside ------------------------------------------------------------------------------------------------------
    async def _generate(self, stream_id: int, stream: _Stream, sent: _Sent, deadline_s: float) -> None:
        try:
            outcome = await self._outcome(stream, sent, deadline_s)
        finally:
            # Before the end is told: whoever hears of it may start the next one at once.
            self._leave(stream_id)
        if isinstance(outcome, GenerateStats):
            stream.end(outcome)
        else:
            stream.error(outcome)

    async def _outcome(self, stream: _Stream, sent: _Sent, deadline_s: float) -> GenerateStats | EngineError:
        answer = Answer(sent.request)
        try:
            async with asyncio.timeout(deadline_s), self._link.exchange(sent.path, sent.body) as response:
                await _pass_on(response, answer, stream)
                stats = answer.end()
        except TimeoutError:
            if not answer.begun:
                self._link.hung()
            return DeadlineExceeded("the generation did not end before its deadline")
        except EngineError as error:
            return error
        except Exception:
            logger.exception("a generation of %s failed", self._spec.name)
            return ModelUnavailable(f"the generation of {self._spec.name} failed")
        with self._lock:
            self._counters.prompt_tokens += stats.prompt_tokens
            self._counters.cached_tokens = (self._counters.cached_tokens or 0) + answer.cached_tokens
            self._counters.generated_tokens += stats.completion_tokens
        return stats

    def _leave(self, stream_id: int) -> None:
        with self._lock:
            self._active.pop(stream_id, None)

    def _request(self, request: GenerateRequest) -> _Sent:
        """Return what is sent: OpenAI's names, and those of vLLM and SGLang for what OpenAI has not, where they matter."""
        body: dict[str, Any] = {
            "model": self._model(request.adapter),
            "max_tokens": request.max_tokens,
            "temperature": request.temperature,
            "stream": request.beams == 1,
            **_changed(request),
        }
        if request.beams == 1:
            body["stream_options"] = {"include_usage": True}
        else:
            body |= {"use_beam_search": True, "n": request.beams}
        if request.json_schema is not None:
            body |= self._shape(dict(request.json_schema))
        if request.prompt is not None:
            if request.logprobs is not None:
                body["logprobs"] = request.logprobs
            return _Sent(request, "completions", body | {"prompt": request.prompt})
        if request.logprobs is not None:
            body["logprobs"] = True
            if request.logprobs:
                body["top_logprobs"] = request.logprobs
        turns = [{"role": turn.role, "content": break_up(turn.content)} for turn in request.messages]
        return _Sent(request, "chat/completions", body | {"messages": turns})

    def _model(self, adapter: str) -> str:
        if not adapter:
            return self._link.options.model
        if adapter not in self._spec.adapters:
            raise Unsupported("adapter", f"{self._spec.name} has no adapter {adapter!r}")
        return self._spec.adapters[adapter].removeprefix("remote:")

    def _shape(self, schema: dict[str, Any]) -> dict[str, Any]:
        if self._spec.options.get("json_schema") == "guided_json":
            return {"guided_json": schema or {"type": "object"}}
        if not schema:
            return {"response_format": {"type": "json_object"}}
        wanted = {"name": "answer", "schema": schema, "strict": True}
        return {"response_format": {"type": "json_schema", "json_schema": wanted}}


@dataclass(frozen=True, slots=True)
class _Sent:
    """A request as the server gets it."""

    request: GenerateRequest
    path: str
    body: dict[str, Any]


class _Stream:
    """A sink that hears of nothing after its end."""

    def __init__(self, sink: Sink) -> None:
        self._sink, self._lock, self._open = sink, threading.Lock(), True

    def piece(self, piece: Piece) -> None:
        if self._open:
            self._sink.piece(piece)

    def end(self, stats: GenerateStats) -> None:
        if self.shut():
            self._sink.end(stats)

    def error(self, error: EngineError) -> None:
        if self.shut():
            self._sink.error(error)

    def shut(self) -> bool:
        """Close; True for the one who did."""
        with self._lock:
            was, self._open = self._open, False
        return was


async def _pass_on(response: httpx.Response, answer: Answer, stream: _Stream) -> None:
    """Hand the stream's text on as it comes. Raises ServerFailure."""
    if "text/event-stream" not in response.headers.get("content-type", ""):
        # Without streaming, as for beam search: one object with everything.
        body = await read_all(response, MAX_STREAM_BYTES)
        for piece in answer.take(body.decode("utf-8", "replace")):
            stream.piece(piece)
        return
    lines = EventLines()
    async for block in response.aiter_raw():
        for data in lines.feed(block):
            for piece in answer.take(data):
                stream.piece(piece)
            if answer.done:
                return
    for data in lines.flush():
        for piece in answer.take(data):
            stream.piece(piece)


def break_up(text: str) -> str:
    """Put a blank into what chat templates use as control tokens, and replace halves of surrogate pairs."""
    text = text.encode("utf-8", "replace").decode()
    return _MARKERS.sub(lambda found: f"{found[0][0]} {found[0][1:]}", text)


def _changed(request: GenerateRequest) -> dict[str, Any]:
    """Return the controls that are not at their defaults: servers differ in which they know."""
    wanted: dict[str, tuple[Any, Any]] = {
        "top_p": (request.top_p, 1.0),
        "top_k": (request.top_k, 0),
        "min_p": (request.min_p, 0.0),
        "repetition_penalty": (request.repetition_penalty, 1.0),
        "presence_penalty": (request.presence_penalty, 0.0),
        "frequency_penalty": (request.frequency_penalty, 0.0),
        "n": (request.n, 1),
        "seed": (request.seed, None),
        "stop": (list(request.stop), []),
    }
    return {name: value for name, (value, default) in wanted.items() if value != default}


def _capabilities(spec: ModelSpec) -> frozenset[Capability]:
    given = spec.options.get("capabilities")
    if given is None:
        found = _DEFAULT
    else:
        unknown = set(given) - set(get_args(Capability))
        if unknown:
            raise ModelUnavailable(f"{spec.name}: unknown capabilities {', '.join(sorted(unknown))}")
        found = frozenset(given)
    return found if spec.adapters else found - {"adapters"}
