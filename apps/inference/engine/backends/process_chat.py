"""A chat model in a child process: starts, feeds and restarts it. The children are the `*_server` modules beside this.

A child speaks JSON over a private socket pair and ends when the socket closes, however its parent ended.
In:  {"op": "generate", "id", "deadline_s", ...the fields of GenerateRequest}, {"op": "cancel", "id"}, {"op": "ping", "id"}
Out: {"ev": "ready"}, {"ev": "pieces", "items": [[id, text, tokens, index, logprobs or null], ...]},
     {"ev": "end", "id", "reasons": [one per choice], "prompt_tokens", "completion_tokens"},
     {"ev": "error", "id", "code", "message", "parameter"?}, {"ev": "pong", "id", ...fields of ChatCounters}
Reasons are stop, length and deadline; codes are prompt_too_long, unsupported and failed. `logprobs` is a list of
[text, logprob, [[text, logprob], ...]].
"""

from __future__ import annotations

import json
import logging
import os
import queue
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from apps.inference.engine.base import Sink
from apps.inference.engine.errors import (
    DeadlineExceeded,
    EngineError,
    ModelUnavailable,
    PromptTooLong,
    Unsupported,
)
from apps.inference.engine.types import (
    Capability,
    ChatCounters,
    EngineConfig,
    GenerateRequest,
    GenerateStats,
    ModelSpec,
    Piece,
    TokenLogprob,
)
from apps.inference.engine.weights import weights_locate

logger = logging.getLogger(__name__)

_LOAD_TIMEOUT_S = 120.0
_PING_TIMEOUT_S = 5.0
_INFO_TIMEOUT_S = 1.0
_COUNTERS = ("prompt_tokens", "cached_tokens", "generated_tokens", "cache_usage")
_ROOT = Path(__file__).resolve().parents[4]


class ProcessChat:
    """One chat model in a child process. Subclasses name the child's module, its settings and what it can do."""

    module: str
    capabilities: frozenset[Capability]

    def __init__(self, spec: ModelSpec, path: Path, config: EngineConfig) -> None:
        self._spec, self._path, self._config = spec, path, config
        self.slots = int(spec.options.get("slots", config.chat_max_active))
        self._lock = threading.Lock()
        self._active: dict[int, Sink] = {}
        self._counters = ChatCounters()
        self._next_id = 1
        self._socket: socket.socket | None = None
        self._connection: Connection | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()
        self._pongs: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._ping_lock = threading.Lock()

    def settings(self) -> dict[str, Any]:
        """Return what the child is told at its start, beside nothing else."""
        return {
            "path": str(self._path),
            "context_tokens": self._spec.context_tokens,
            "threads": self._config.threads,
            "slots": self.slots,
        }

    def load(self) -> None:
        """Start the process and wait until the model is warm. Raises ModelUnavailable."""
        self._start()
        threading.Thread(target=self._read_loop, name=f"chat-{self._spec.name}", daemon=True).start()

    def start(self, request: GenerateRequest, sink: Sink, *, deadline_s: float) -> Callable[[], None]:
        """Hand a request to the child; the result cancels it. Raises ModelUnavailable when the process is not there."""
        message = {"op": "generate", "deadline_s": deadline_s, **asdict(request)}
        with self._lock:
            request_id, self._next_id = self._next_id, self._next_id + 1
            self._active[request_id] = sink
            if self._stopping.is_set() or not self._send(message | {"id": request_id}):
                del self._active[request_id]
                raise ModelUnavailable(f"{self._spec.name} is not running")
        return lambda: self._cancel(request_id)

    def health(self) -> bool:
        """Return whether the process answers within 5 s. A busy one does, between two steps."""
        return self._ping() is not None

    def info(self) -> ChatCounters:
        """Return the counters, or those of the child's last answer where a long step keeps it busy for over a second."""
        self._ping(_INFO_TIMEOUT_S)
        with self._lock:
            return ChatCounters(**asdict(self._counters))

    def stop(self) -> None:
        """End the process; active generations end with ModelUnavailable."""
        self._stopping.set()
        with self._lock, suppress(OSError):
            active, self._active = list(self._active.values()), {}
            if self._socket is not None:
                # Closing would not wake the reader thread, nor tell the process while that thread holds the descriptor.
                self._socket.shutdown(socket.SHUT_RDWR)
        for sink in active:
            sink.error(ModelUnavailable(f"{self._spec.name} is stopping"))
        if self._process is not None:
            try:
                self._process.wait(2)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    # -- inside ------------------------------------------------------------------------------------------------------
    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        command = [sys.executable, "-m", f"apps.inference.engine.backends.{self.module}", str(theirs.fileno())]
        environment = {**os.environ, "PYTHONPATH": str(_ROOT), "HF_HUB_OFFLINE": "1"}
        with theirs:
            process = subprocess.Popen(
                [*command, json.dumps(self.settings())],
                pass_fds=[theirs.fileno()],
                env=environment,
                stdin=subprocess.DEVNULL,
            )
        connection = Connection(os.dup(ours.fileno()))
        try:
            if not connection.poll(_LOAD_TIMEOUT_S):
                raise ModelUnavailable(f"{self._spec.name} did not load within {_LOAD_TIMEOUT_S:.0f} s")
            connection.recv_bytes()
        except EOFError as error:
            status = process.wait()
            raise ModelUnavailable(
                f"{self._spec.name}: the engine process ended with status {status} while loading"
            ) from error
        except ModelUnavailable:
            process.kill()
            raise
        with self._lock:
            self._socket, self._connection, self._process = ours, connection, process

    def _cancel(self, request_id: int) -> None:
        with self._lock:
            if self._active.pop(request_id, None) is not None:
                self._send({"op": "cancel", "id": request_id})

    def _send(self, message: dict[str, Any]) -> bool:
        """Send under the lock; False when the process is gone."""
        try:
            if self._connection is None:
                return False
            self._connection.send_bytes(json.dumps(message).encode())
        except OSError:
            return False
        return True

    def _ping(self, timeout_s: float = _PING_TIMEOUT_S) -> dict[str, Any] | None:
        with self._ping_lock:
            # Late answers to earlier pings are not answers to this one.
            token = time.monotonic_ns()
            with self._lock:
                if not self._send({"op": "ping", "id": token}):
                    return None
            give_up = time.monotonic() + timeout_s
            while (left := give_up - time.monotonic()) > 0:
                try:
                    pong = self._pongs.get(timeout=left)
                except queue.Empty:
                    return None
                if pong["id"] == token:
                    return pong
        return None

    def _read_loop(self) -> None:
        while not self._stopping.is_set():
            connection = self._connection
            if connection is None:
                return
            try:
                self._dispatch(json.loads(connection.recv_bytes()))
            except (EOFError, OSError):
                if not self._stopping.is_set():
                    self._lost()

    def _dispatch(self, event: dict[str, Any]) -> None:
        kind = event["ev"]
        if kind == "pieces":
            with self._lock:
                targets = [(self._active.get(item[0]), item) for item in event["items"]]
            for sink, (_, text, tokens, index, logprobs) in targets:
                if sink is not None:
                    sink.piece(Piece(text, tokens, index, _logprobs(logprobs)))
        elif kind == "pong":
            with self._lock:
                for key in _COUNTERS:
                    setattr(self._counters, key, event.get(key))
            self._pongs.put(event)
        elif kind in ("end", "error"):
            with self._lock:
                sink = self._active.pop(event["id"], None)
            if sink is None:
                return
            if kind == "error" or "deadline" in event["reasons"]:
                sink.error(_error_of(event))
            else:
                reasons = tuple(event["reasons"])
                prompt, completion = event["prompt_tokens"], event["completion_tokens"]
                sink.end(GenerateStats(prompt, completion, 0.0, 0.0, reasons[0], reasons))

    def _lost(self) -> None:
        """The process ended: fail what it was doing and start another, waiting longer each time."""
        with self._lock:
            lost, self._active = list(self._active.values()), {}
            self._connection = None
        for sink in lost:
            sink.error(ModelUnavailable("the engine process ended"))
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        pause_s = 0.5
        while not self._stopping.wait(pause_s):
            logger.warning("the process of %s is lost, starting it again", self._spec.name)
            try:
                self._start()
            except (ModelUnavailable, OSError):
                logger.exception("%s did not start", self._spec.name)
                pause_s = min(pause_s * 2, 10.0)
                continue
            self._counters.restarts += 1
            return


def _logprobs(items: list[Any] | None) -> tuple[TokenLogprob, ...]:
    if not items:
        return ()
    return tuple(TokenLogprob(text, value, tuple((other, score) for other, score in top)) for text, value, top in items)


def _error_of(event: dict[str, Any]) -> EngineError:
    code, message = event.get("code", "deadline"), event.get("message", "")
    if code == "deadline":
        return DeadlineExceeded("the generation did not end before its deadline")
    if code == "prompt_too_long":
        return PromptTooLong(message)
    if code == "unsupported":
        return Unsupported(event.get("parameter", ""), message)
    return ModelUnavailable(message or "the generation failed")


class OpenVinoChat(ProcessChat):
    """OpenVINO GenAI's continuous batching; reads GGUF files of Q8_0 or F16, and folders of its own format.

    Options: `precision` "float32" computes as the float32 model does, "auto" (default) with 8-bit activations and cache
    where the processor gains from it; `slots`.
    """

    module = "openvino_server"
    capabilities: frozenset[Capability] = frozenset(("seed", "logprobs", "json_schema", "beams", "min_p", "prompt"))

    def settings(self) -> dict[str, Any]:
        """Add the scheduler's bounds and the precision."""
        # A model made from a GGUF file has its vocabulary there.
        tokenizer = str(weights_locate(self._spec)) if self._spec.requantise else ""
        return super().settings() | {
            "tokenizer": tokenizer,
            "kv_cache_gb": self._config.chat_kv_cache_gb,
            "batched_tokens": self._config.chat_batched_tokens,
            "precision": self._spec.options.get("precision", "auto"),
        }
