"""A chat model's own process: llama.cpp's server, called in-process through `xllamacpp`.

It is a process because llama.cpp ends the whole program at an error of its own, and its threads spin while they wait.
The protocol is in `process_chat`. llama.cpp also listens by HTTP: here on a socket file in a folder of this user alone,
with a key, for one purpose: it renders the model's chat template.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import signal
import sys
import tempfile
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import httpx

from apps.inference.engine.backends.llama_gguf import gguf_facts
from apps.inference.engine.backends.llama_schema import SchemaError, SchemaWatch
from apps.inference.engine.backends.llama_text import Choice, Markers, whole_characters

logger = logging.getLogger(__name__)

_TEMPLATE_TIMEOUT_S = 10.0
_WATCH_EVERY_S = 0.05
# llama.cpp looks at a request between two steps; one that has not let go after this long never will.
_WEDGED_S = 60.0
# Temperature first, as transformers and vLLM do it; llama.cpp's own order cuts the tail before it.
_SAMPLERS = ["penalties", "temperature", "top_k", "top_p", "min_p"]
_LARGEST_SEED = 0xFFFFFFFE


class Refused(Exception):
    """The request cannot be run; the code goes to the caller."""

    def __init__(self, code: str, message: str, parameter: str = "") -> None:
        super().__init__(message)
        self.code, self.parameter = code, parameter


@dataclass(slots=True)
class Run:
    """One request: waiting, then computed by a thread of its own. `over` says why it is to stop."""

    message: dict[str, Any]
    deadline: float
    choices: list[Choice]
    needs: int
    prompt_tokens: int = 0
    over: str = ""
    over_since: float = 0.0
    error: Refused | None = None

    @property
    def id(self) -> int:
        return int(self.message["id"])

    @property
    def tokens(self) -> int:
        return sum(choice.tokens for choice in self.choices)


class Server:
    """Owns the model. The main thread reads commands; each running request has a thread that llama.cpp calls back on."""

    def __init__(self, connection: Connection, settings: dict[str, Any], engine: Any, http: httpx.Client) -> None:
        self._connection, self._engine, self._http = connection, engine, http
        self._context_tokens = int(settings["context_tokens"])
        self._slots = self._free = int(settings["slots"])
        self._adapters: dict[str, int] = {name: index for index, name in enumerate(settings["adapters"])}
        self._markers = Markers(gguf_facts(Path(settings["path"])).markers)
        self._totals = {"prompt_tokens": 0, "cached_tokens": 0, "generated_tokens": 0}
        self._lock = threading.Condition()
        self._send_lock = threading.Lock()
        self._waiting: deque[Run] = deque()
        self._running: dict[int, Run] = {}

    def warm(self) -> None:
        """Read the weights once and run both kinds of step, so that the first visitor does not wait for the disk."""
        body = {"prompt": "warm up " * 100, "max_tokens": 8, "temperature": 0, "cache_prompt": False}
        self._engine.handle_completions(body, lambda _: False)

    def serve(self) -> None:
        """Run until the other end closes."""
        threading.Thread(target=self._watch, name="deadlines", daemon=True).start()
        with suppress(EOFError, OSError):
            self._send({"ev": "ready", "pid": os.getpid()})
            while True:
                self._handle(json.loads(self._connection.recv_bytes()))

    # -- commands ----------------------------------------------------------------------------------------------------
    def _handle(self, message: dict[str, Any]) -> None:
        operation = message["op"]
        if operation == "generate":
            try:
                self._add(message)
            except Refused as refused:
                self._refuse(message["id"], refused)
        elif operation == "cancel":
            with self._lock:
                run = self._running.get(message["id"])
                if run is not None:
                    self._end(run, "cancelled")
                self._waiting = deque(one for one in self._waiting if one.id != message["id"])
            self._start_waiting()
        elif operation == "ping":
            self._send({"ev": "pong", "id": message["id"], "cache_usage": self._cache_usage(), **self._totals})

    def _add(self, message: dict[str, Any]) -> None:
        count = int(message.get("n") or 1)
        if message.get("adapter") and message["adapter"] not in self._adapters:
            raise Refused("unsupported", f"there is no adapter {message['adapter']!r}", "adapter")
        if message.get("prompt") == "":
            raise Refused("unsupported", "the prompt is empty", "prompt")
        schema = message.get("json_schema")
        try:
            watches = [SchemaWatch(schema) if schema is not None else None for _ in range(count)]
        except SchemaError as error:
            raise Refused("unsupported", str(error), "json_schema") from error
        choices = [Choice(index, message.get("stop") or (), watch) for index, watch in enumerate(watches)]
        deadline = time.monotonic() + float(message.get("deadline_s") or 3600)
        run = Run(message, deadline, choices, min(count, self._slots))
        with self._lock:
            self._waiting.append(run)
            self._lock.notify_all()
        self._start_waiting()

    def _start_waiting(self) -> None:
        """Start what fits, in order of arrival: llama.cpp itself queues nothing, so everything it has can be stopped."""
        with self._lock:
            while self._waiting and self._waiting[0].needs <= self._free:
                run = self._waiting.popleft()
                self._free -= run.needs
                self._running[run.id] = run
                threading.Thread(target=self._run, args=(run,), name=f"run-{run.id}", daemon=True).start()

    def _cache_usage(self) -> float:
        with self._lock:
            used = sum(run.prompt_tokens * run.needs + run.tokens for run in self._running.values())
        return min(1.0, used / (self._slots * self._context_tokens))

    # -- one request, on its own thread --------------------------------------------------------------------------------
    def _run(self, run: Run) -> None:
        try:
            self._compute(run)
        except Refused as refused:
            run.error = refused
        except Exception as error:
            logger.exception("request failed")
            run.error = Refused("failed", str(error)[:300])
        with self._lock:
            del self._running[run.id]
            self._free += run.needs
            # Ends that the deadline or a cancel brought are announced where they happened.
            announce = not run.over
            run.over = run.over or "ended"
        if announce and run.error is not None:
            self._refuse(run.id, run.error)
        elif announce:
            self._send_end(run, [choice.reason for choice in run.choices])
        self._start_waiting()

    def _compute(self, run: Run) -> None:
        body = self._body(run.message)
        for start in range(0, len(run.choices), self._slots):
            batch = run.choices[start : start + self._slots]
            seed = {"seed": (body["seed"] + start) % _LARGEST_SEED} if "seed" in body else {}

            def seen(chunk: Any, batch: list[Choice] = batch) -> bool:
                return self._seen(run, batch, chunk)

            self._engine.handle_completions({**body, **seed, "n": len(batch)}, seen)
            if run.over or run.error is not None:
                return
            if not all(choice.reason for choice in batch):
                raise Refused("failed", "llama.cpp broke off")

    def _body(self, message: dict[str, Any]) -> dict[str, Any]:
        prompt = message.get("prompt")
        body: dict[str, Any] = {
            "prompt": self._render(message["messages"]) if prompt is None else whole_characters(prompt),
            "max_tokens": max(1, int(message["max_tokens"])),
            "stream": True,
            # Tells of each step through a long prompt: the moments at which a request can be stopped.
            "return_progress": True,
            "timings_per_token": True,
            "samplers": _SAMPLERS,
            "temperature": float(message.get("temperature") or 0),
            "top_k": int(message.get("top_k") or 0),
            "top_p": float(message.get("top_p") or 1),
            "min_p": float(message.get("min_p") or 0),
            "repeat_penalty": float(message.get("repetition_penalty") or 1),
            "presence_penalty": float(message.get("presence_penalty") or 0),
            "frequency_penalty": float(message.get("frequency_penalty") or 0),
        }
        if body["repeat_penalty"] != 1:
            body["repeat_last_n"] = self._context_tokens  # all of it, as transformers has it
        if message.get("seed") is not None:
            # A cached prompt is computed in other groups, whose last digits differ: enough to turn a sample.
            body |= {"seed": int(message["seed"]) % _LARGEST_SEED, "cache_prompt": False}
        if message.get("logprobs") is not None:
            body["n_probs"] = max(1, int(message["logprobs"]))
        if message.get("json_schema") is not None:
            body["json_schema"] = message["json_schema"] or {"type": "object"}
        if self._adapters:
            chosen = self._adapters.get(message.get("adapter") or "")
            body["lora"] = [{"id": index, "scale": float(index == chosen)} for index in self._adapters.values()]
        return body

    def _render(self, messages: list[dict[str, str]]) -> str:
        """Apply the model's chat template, with control tokens inside contents broken up."""
        turns = [{"role": turn["role"], "content": self._markers.break_up(turn["content"])} for turn in messages]
        answer = self._http.post("/apply-template", json={"messages": turns})
        if answer.status_code != 200:
            raise Refused("unsupported", f"the chat template refuses these turns: {answer.text[:200]}", "messages")
        return str(answer.json()["prompt"])

    def _seen(self, run: Run, batch: list[Choice], chunk: dict[str, Any]) -> bool:
        """Take one chunk of llama.cpp's stream; True stops the request there."""
        if run.over or run.error is not None:
            return True
        if "error" in chunk:
            run.error = _refusal(chunk["error"])
            return True
        progress = chunk.get("prompt_progress")
        if progress is not None:
            return self._note_prompt(run, progress)
        pieces = []
        for part in chunk.get("choices") or ():
            choice = batch[part["index"]]
            if choice.reason:
                continue
            before = choice.tokens
            text, logprobs = choice.take(part, chunk.get("timings") or {}, run.message.get("logprobs"))
            self._count(generated_tokens=choice.tokens - before)
            if not choice.reason and run.prompt_tokens + choice.tokens >= self._context_tokens:
                text += choice.finish("length")
            if choice.broken:
                run.error = Refused("failed", "the text left its JSON schema; a simpler schema may hold")
                return True
            if text or choice.tokens > before:
                pieces.append([run.id, text, choice.tokens - before, choice.index, logprobs])
        if pieces:
            self._send({"ev": "pieces", "items": pieces})
        return all(choice.reason for choice in batch)

    def _note_prompt(self, run: Run, progress: dict[str, Any]) -> bool:
        if not run.prompt_tokens:
            run.prompt_tokens = int(progress["total"])
            self._count(prompt_tokens=run.prompt_tokens, cached_tokens=int(progress["cache"]))
            if run.prompt_tokens >= self._context_tokens:
                run.error = _too_long(run.prompt_tokens, self._context_tokens)
        return run.error is not None

    def _count(self, **more: int) -> None:
        with self._lock:
            for name, value in more.items():
                self._totals[name] += value

    # -- ends --------------------------------------------------------------------------------------------------------
    def _end(self, run: Run, why: str) -> None:
        """Mark a running request; llama.cpp lets go of it at its next callback. Called under the lock."""
        if not run.over:
            run.over, run.over_since = why, time.monotonic()

    def _watch(self) -> None:
        """End requests at their deadlines; end the process when llama.cpp no longer steps."""
        while True:
            with self._lock:
                if not self._waiting and not self._running:
                    self._lock.wait()
                now = time.monotonic()
                late = [run for run in (*self._waiting, *self._running.values()) if now > run.deadline and not run.over]
                for run in late:
                    self._end(run, "deadline")
                self._waiting = deque(run for run in self._waiting if not run.over)
                wedged = any(run.over and now - run.over_since > _WEDGED_S for run in self._running.values())
            for run in late:
                self._send_end(run, ["deadline"] * len(run.choices))
            if wedged:
                logger.error("llama.cpp did not let go of a request for %.0f s: ending this process", _WEDGED_S)
                os._exit(70)
            if late:
                self._start_waiting()
            time.sleep(_WATCH_EVERY_S)

    def _send_end(self, run: Run, reasons: list[str]) -> None:
        counts = {"prompt_tokens": run.prompt_tokens, "completion_tokens": run.tokens}
        self._send({"ev": "end", "id": run.id, "reasons": reasons, **counts})

    def _refuse(self, request_id: int, refused: Refused) -> None:
        event = {"ev": "error", "id": request_id, "code": refused.code, "message": str(refused)}
        self._send(event | {"parameter": refused.parameter})

    def _send(self, message: dict[str, Any]) -> None:
        with self._send_lock, suppress(OSError):
            self._connection.send_bytes(json.dumps(message).encode())


def _refusal(error: dict[str, Any]) -> Refused:
    text = str(error.get("message", ""))[:300]
    if error.get("type") == "exceed_context_size_error":
        return _too_long(int(error.get("n_prompt_tokens") or 0), int(error.get("n_ctx") or 0))
    if error.get("type") == "invalid_request_error":
        return Refused("unsupported", text)
    return Refused("failed", text)


def _too_long(prompt_tokens: int, context_tokens: int) -> Refused:
    return Refused("prompt_too_long", f"the prompt has {prompt_tokens} tokens, the context holds {context_tokens}")


def engine_make(settings: dict[str, Any], socket_path: str, key: str) -> Any:
    """Load the model. Raises RuntimeError for a file that llama.cpp does not take."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = settings["path"]
    params.n_parallel = int(settings["slots"])
    params.n_ctx = params.n_parallel * int(settings["context_tokens"])
    # A running stream gets its next token after each part of a new prompt, and a request can be stopped then.
    params.n_batch = params.n_ubatch = int(settings["batched_tokens"])
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = int(settings["threads"])
    # Its default would keep up to 8 GiB of earlier prompts, and shrink the context to what it thinks fits.
    params.cache_ram_mib, params.fit_params = 0, False
    params.hostnames, params.api_keys, params.n_threads_http = [socket_path], [key], 2
    params.ui = params.endpoint_slots = params.endpoint_metrics = False
    params.offline, params.verbosity = True, -1
    if settings["device"] == "cpu":
        params.n_gpu_layers = 0
    adapters = [xllamacpp.CommonAdapterLoraInfo(path, 1.0) for path in settings["adapters"].values()]
    params.lora_adapters, params.lora_init_without_apply = adapters, True
    return xllamacpp.Server(params)


def main() -> None:
    """Entry point: `python -m apps.inference.engine.backends.llama_server <socket> <settings as JSON>`."""
    # The worker decides when this process ends, by closing the socket: a signal to the group must not cut replies.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    # llama.cpp's threads meet hundreds of times a token. Sleeping at each meeting costs two thirds of the speed, and
    # spinning for long ruins it when another process wants the cores: spin a little.
    os.environ.pop("OMP_WAIT_POLICY", None)
    os.environ["GOMP_SPINCOUNT"] = "1000"
    connection, settings = Connection(int(sys.argv[1])), json.loads(sys.argv[2])
    key = secrets.token_urlsafe(32)
    with tempfile.TemporaryDirectory(prefix="llama-") as folder:
        path = f"{folder}/http.sock"
        engine = engine_make(settings, path, key)
        http = httpx.Client(
            transport=httpx.HTTPTransport(uds=path, limits=httpx.Limits(max_keepalive_connections=2)),
            base_url="http://llama",
            headers={"Authorization": f"Bearer {key}"},
            timeout=_TEMPLATE_TIMEOUT_S,
            trust_env=False,
        )
        server = Server(connection, settings, engine, http)
        server.warm()
        server.serve()
    # The destructor would wait for the running requests.
    os._exit(0)


if __name__ == "__main__":
    main()
