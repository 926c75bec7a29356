"""Chat backend: starts, feeds and restarts the process of `openvino_server`."""

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
from collections.abc import Iterator
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from apps.inference.engine.errors import DeadlineExceeded, EngineError, ModelUnavailable, Overloaded, PromptTooLong
from apps.inference.engine.types import (
    ChatCounters,
    EngineConfig,
    FinishReason,
    GenerateRequest,
    GenerateStats,
    ModelSpec,
    Piece,
)

logger = logging.getLogger(__name__)

_LOAD_TIMEOUT_S = 120.0
_PING_TIMEOUT_S = 5.0
_FIRST_TOKENS_KEPT = 256
_ROOT = Path(__file__).resolve().parents[3]


class ProcessGeneration:
    """A generation that runs in the chat process. Iterate for pieces; see base.Generation."""

    def __init__(self, owner: OpenVinoChat, request_id: int, deadline_s: float) -> None:
        self._owner = owner
        self._id = request_id
        self._started = time.monotonic()
        # The process enforces the deadline; this one, a little later, is for a process that hangs.
        self._give_up = self._started + deadline_s + 2.0
        self._events: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._tokens = 0
        self._first_token_s = 0.0
        self.stats: GenerateStats | None = None

    def __iter__(self) -> Iterator[Piece]:
        while self.stats is None:
            piece = self.poll(0.25)
            if piece is not None:
                yield piece

    def poll(self, timeout_s: float) -> Piece | None:
        """Return the next piece, or None: nothing within `timeout_s`, or the end (then `stats` is set).

        Errors: DeadlineExceeded, PromptTooLong, ModelUnavailable.
        """
        if self.stats is not None:
            return None
        try:
            event = self._events.get(timeout=timeout_s)
        except queue.Empty:
            if time.monotonic() > self._give_up:
                self.close()
                raise DeadlineExceeded("the engine did not answer before the deadline") from None
            return None
        return self._take(event)

    def close(self) -> None:
        """Stop computing. Returns at once; the engine drops the request before its next step."""
        if self.stats is None:
            self._finish("cancelled", 0, self._tokens)
            self._owner.cancel(self._id)

    def deliver(self, event: dict[str, Any]) -> None:
        """Called by the backend's reader thread."""
        if event["ev"] == "piece" and not self._first_token_s:
            self._first_token_s = time.monotonic() - self._started
            self._owner.record_first_token(self._first_token_s)
        self._events.put(event)

    def _take(self, event: dict[str, Any]) -> Piece | None:
        if event["ev"] == "piece":
            self._tokens += event["tokens"]
            return Piece(event["text"], event["tokens"])
        if event["ev"] == "end" and event["reason"] in ("stop", "length", "cancelled"):
            self._finish(event["reason"], event["prompt_tokens"], event["completion_tokens"])
            return None
        self._finish("cancelled", 0, self._tokens)
        raise _error_of(event)

    def _finish(self, reason: FinishReason, prompt_tokens: int, completion_tokens: int) -> None:
        total_s = time.monotonic() - self._started
        self.stats = GenerateStats(prompt_tokens, completion_tokens, self._first_token_s, total_s, reason)


def _error_of(event: dict[str, Any]) -> EngineError:
    code = event.get("code") or event.get("reason")
    if code == "deadline":
        return DeadlineExceeded("the answer was not complete before the deadline")
    if code == "prompt_too_long":
        return PromptTooLong(event["message"])
    return ModelUnavailable(event.get("message") or "the engine could not run the request")


class OpenVinoChat:
    """One chat model in a child process, with a bound on what it has accepted and not finished."""

    def __init__(self, spec: ModelSpec, path: Path, config: EngineConfig) -> None:
        self._spec, self._path, self._config = spec, path, config
        self._lock = threading.Lock()
        self._active: dict[int, ProcessGeneration] = {}
        self._counters = ChatCounters()
        self._totals = {"prompt_tokens": 0, "generated_tokens": 0}
        self._next_id = 1
        self._socket: socket.socket | None = None
        self._connection: Connection | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()
        self._pongs: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._ping_lock = threading.Lock()
        self._reader: threading.Thread | None = None

    def load(self) -> None:
        """Start the process and wait until the model is warm (3 to 5 s). Raises ModelUnavailable."""
        self._start()
        self._reader = threading.Thread(target=self._read_loop, name="chat-engine", daemon=True)
        self._reader.start()

    def generate(self, request: GenerateRequest, *, deadline_s: float) -> ProcessGeneration:
        """Submit a request. Raises Overloaded at the bound, ModelUnavailable when the process is not there."""
        bound = self._config.chat_max_active + self._config.chat_max_queued
        with self._lock:
            if len(self._active) >= bound:
                raise Overloaded(f"{bound} generations are active or waiting")
            request_id, self._next_id = self._next_id, self._next_id + 1
            generation = ProcessGeneration(self, request_id, deadline_s)
            self._active[request_id] = generation
            message = {
                "op": "generate",
                "id": request_id,
                "messages": [{"role": turn.role, "content": turn.content} for turn in request.messages],
                "max_tokens": request.max_tokens,
                "temperature": request.temperature,
                "top_p": request.top_p,
                "stop": list(request.stop),
                "seed": request.seed,
                "deadline_s": deadline_s,
            }
            if self._stopping.is_set() or not self._send(message):
                del self._active[request_id]
                raise ModelUnavailable(f"{self._spec.name} is not running")
        return generation

    def cancel(self, request_id: int) -> None:
        """Stop computing one request; unknown ids are ignored."""
        with self._lock:
            if self._active.pop(request_id, None) is not None:
                self._counters.cancelled += 1
                self._send({"op": "cancel", "id": request_id})

    def health(self) -> bool:
        """Return whether the process answers within 5 s. A busy one does, between two steps."""
        return self._ping() is not None

    def info(self) -> ChatCounters:
        """Return the counters; token counts come from the process itself."""
        self._ping()
        with self._lock:
            counted = len(self._active)
            return ChatCounters(
                active=min(counted, self._config.chat_max_active),
                queued=max(0, counted - self._config.chat_max_active),
                prompt_tokens=self._totals["prompt_tokens"],
                generated_tokens=self._totals["generated_tokens"],
                finished=self._counters.finished,
                cancelled=self._counters.cancelled,
                failed=self._counters.failed,
                restarts=self._counters.restarts,
                first_token_s=list(self._counters.first_token_s),
            )

    def stop(self) -> None:
        """End the process; active generations end as cancelled."""
        self._stopping.set()
        for generation in list(self._active.values()):
            generation.close()
        with self._lock, suppress(OSError):
            if self._socket is not None:
                # Closing would not wake the reader thread, nor tell the process while that thread holds the descriptor.
                self._socket.shutdown(socket.SHUT_RDWR)
        if self._process is not None:
            try:
                self._process.wait(2)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def record_first_token(self, seconds: float) -> None:
        """Keep a first-token time for `info`."""
        with self._lock:
            self._counters.first_token_s.append(seconds)
            del self._counters.first_token_s[:-_FIRST_TOKENS_KEPT]

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        settings = {
            "path": str(self._path),
            "context_tokens": self._spec.context_tokens,
            "threads": self._config.threads,
            "max_active": self._config.chat_max_active,
            "kv_cache_gb": self._config.chat_kv_cache_gb,
            "batched_tokens": self._config.chat_batched_tokens,
            "precision": self._config.chat_precision,
        }
        command = [sys.executable, "-m", "apps.inference.engine.openvino_server", str(theirs.fileno())]
        environment = {**os.environ, "PYTHONPATH": str(_ROOT), "HF_HUB_OFFLINE": "1"}
        with theirs:
            process = subprocess.Popen(
                [*command, json.dumps(settings)], pass_fds=[theirs.fileno()], env=environment, stdin=subprocess.DEVNULL
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

    def _send(self, message: dict[str, Any]) -> bool:
        """Send under the lock; False when the process is gone."""
        try:
            if self._connection is None:
                return False
            self._connection.send_bytes(json.dumps(message).encode())
        except OSError:
            return False
        return True

    def _ping(self) -> dict[str, Any] | None:
        with self._ping_lock:
            # Late answers to earlier pings are not answers to this one.
            token = time.monotonic_ns()
            with self._lock:
                if not self._send({"op": "ping", "id": token}):
                    return None
            give_up = time.monotonic() + _PING_TIMEOUT_S
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
        if event["ev"] == "pieces":
            with self._lock:
                targets = [(self._active.get(item[0]), item) for item in event["items"]]
            for generation, (_, text, tokens) in targets:
                if generation is not None:
                    generation.deliver({"ev": "piece", "text": text, "tokens": tokens})
        elif event["ev"] == "pong":
            self._totals = {key: event[key] for key in self._totals}
            self._pongs.put(event)
        elif event["ev"] in ("end", "error"):
            with self._lock:
                generation = self._active.pop(event["id"], None)
                if generation is not None:
                    ok = event.get("reason") in ("stop", "length")
                    self._counters.finished += ok
                    self._counters.failed += not ok
            if generation is not None:
                generation.deliver(event)

    def _lost(self) -> None:
        """The process ended: fail what it was doing and start another, waiting longer each time."""
        with self._lock:
            lost, self._active = list(self._active.values()), {}
            self._connection = None
            self._counters.failed += len(lost)
        for generation in lost:
            generation.deliver({"ev": "error", "code": "failed", "message": "the engine process ended"})
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        pause_s = 0.5
        while not self._stopping.wait(pause_s):
            logger.warning("chat engine process lost, starting it again")
            try:
                self._start()
            except (ModelUnavailable, OSError):
                logger.exception("the chat engine did not start")
                pause_s = min(pause_s * 2, 10.0)
                continue
            self._counters.restarts += 1
            return
