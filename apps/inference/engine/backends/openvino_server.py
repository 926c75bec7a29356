"""The chat model's own process: one OpenVINO GenAI continuous-batching pipeline, driven step by step.

It is a process because `ContinuousBatchingPipeline.step` holds Python's lock for the whole forward pass (20 to 200 ms):
in the worker it would stop every other thread. Messages are JSON over a private socket pair; when the worker ends, by
whatever signal, the socket closes and this process ends with it.

In:  {"op": "generate", "id", "messages", "max_tokens", "temperature", "top_p", "stop", "seed", "deadline_s"},
     {"op": "cancel", "id"}, {"op": "ping", "id"}
Out: {"ev": "ready"}, {"ev": "pieces", "items": [[id, text, tokens], ...]}, {"ev": "pong", "id", ...counters},
     {"ev": "end", "id", "reason", "prompt_tokens", "completion_tokens"}, {"ev": "error", "id", "code", "message"}
"""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import openvino_genai as genai

from apps.inference.engine.textstream import TextStream

logger = logging.getLogger(__name__)

_MARKER = re.compile(rb"<[^<>\s]{1,40}>")
_END_MARKERS = (b"<|im_end|>", b"<|endoftext|>", b"</s>", b"<|eot_id|>", b"<end_of_turn>")
_FINISHED = genai.GenerationStatus.FINISHED
_RUNNING = genai.GenerationStatus.RUNNING


@dataclass(slots=True)
class _Running:
    handle: Any
    text: TextStream
    prompt_tokens: int
    max_tokens: int
    deadline: float
    completion_tokens: int = 0
    reason: str = "stop"


class PromptError(Exception):
    """The request cannot be run as asked; the code goes to the caller."""


class Server:
    """Owns the pipeline. Single-threaded: commands are read between two steps."""

    def __init__(self, connection: Connection, settings: dict[str, Any]) -> None:
        self._connection = connection
        self._context_tokens = int(settings["context_tokens"])
        self._running: dict[int, _Running] = {}
        self._totals = {"prompt_tokens": 0, "generated_tokens": 0}
        scheduler = genai.SchedulerConfig()
        scheduler.cache_size = int(settings["kv_cache_gb"])
        scheduler.max_num_seqs = int(settings["max_active"])
        scheduler.max_num_batched_tokens = int(settings["batched_tokens"])
        # Long prompts are split, so that running streams get their token in each step.
        scheduler.dynamic_split_fuse = True
        scheduler.enable_prefix_caching = True
        # Pinned threads would fight with the web process and PostgreSQL for the same cores.
        properties: dict[str, Any] = {"INFERENCE_NUM_THREADS": int(settings["threads"]), "ENABLE_CPU_PINNING": False}
        if settings["precision"] == "float32":
            properties |= {"INFERENCE_PRECISION_HINT": "f32", "KV_CACHE_PRECISION": "f32"}
            properties |= {"DYNAMIC_QUANTIZATION_GROUP_SIZE": 0}
        self._pipeline = genai.ContinuousBatchingPipeline(settings["path"], scheduler, "CPU", properties)
        self._tokenizer = self._pipeline.get_tokenizer()
        vocabulary = self._tokenizer.get_vocab()
        self._markers = [key.decode("utf-8", "replace") for key in vocabulary if _MARKER.fullmatch(key)]
        self._stop_ids = {self._tokenizer.get_eos_token_id()}
        self._stop_ids |= {vocabulary[marker] for marker in _END_MARKERS if marker in vocabulary}

    def warm(self) -> None:
        """Compile the kernels for a long prompt and for single tokens, so that the first visitor does not wait."""
        request = {"messages": [{"role": "user", "content": "warm up " * 300}], "max_tokens": 8}
        self._add({"id": 0, **request})
        while self._running:
            self._pipeline.step()
            self._collect(announce=False)
        self._totals = dict.fromkeys(self._totals, 0)

    def serve(self) -> None:
        """Run until the other end closes."""
        with suppress(EOFError, OSError):
            self._send({"ev": "ready", "pid": os.getpid()})
            while True:
                # None blocks: nothing is running, so there is nothing to do but listen.
                wait: float | None = 0.0 if self._running else None
                while self._connection.poll(wait):
                    self._handle(json.loads(self._connection.recv_bytes()))
                    wait = 0.0
                if self._running:
                    self._step()

    def _handle(self, message: dict[str, Any]) -> None:
        operation = message["op"]
        if operation == "generate":
            try:
                self._add(message)
            except PromptError as error:
                self._send({"ev": "error", "id": message["id"], "code": "prompt_too_long", "message": str(error)})
            except Exception as error:
                logger.exception("request refused")
                self._send({"ev": "error", "id": message["id"], "code": "failed", "message": str(error)[:300]})
        elif operation == "cancel":
            self._drop(message["id"], "cancelled")
        elif operation == "ping":
            running = len(self._running)
            self._send({"ev": "pong", "id": message["id"], "running": running, **self._totals})

    def _add(self, message: dict[str, Any]) -> None:
        prompt = self._tokenizer.apply_chat_template(self._clean(message["messages"]), add_generation_prompt=True)
        ids = self._tokenizer.encode(prompt, add_special_tokens=False).input_ids
        prompt_tokens = int(ids.shape[1])
        room = self._context_tokens - prompt_tokens
        if room < 1:
            raise PromptError(f"the prompt has {prompt_tokens} tokens, the context holds {self._context_tokens}")
        config = genai.GenerationConfig()
        config.max_new_tokens = max(1, min(int(message["max_tokens"]), room))
        config.stop_token_ids = self._stop_ids
        config.do_sample = float(message.get("temperature") or 0) > 0
        if config.do_sample:
            config.temperature = float(message["temperature"])
            config.top_p = float(message.get("top_p") or 1.0)
            config.rng_seed = int(message.get("seed") or time.time_ns() & 0x7FFFFFFF)
        handle = self._pipeline.add_request(message["id"], ids, config)
        text = TextStream(self._tokenizer.decode, message.get("stop") or ())
        deadline = time.monotonic() + float(message.get("deadline_s") or 3600)
        self._running[message["id"]] = _Running(handle, text, prompt_tokens, config.max_new_tokens, deadline)
        self._totals["prompt_tokens"] += prompt_tokens

    def _clean(self, messages: list[dict[str, str]]) -> list[dict[str, str]]:
        """Break up the template's control tokens inside contents: text from outside must not open a turn of its own."""
        return [{"role": message["role"], "content": self._clean_text(message["content"])} for message in messages]

    def _clean_text(self, text: str) -> str:
        if "<" in text:
            for marker in self._markers:
                text = text.replace(marker, f"{marker[0]} {marker[1:]}")
        return text

    def _step(self) -> None:
        try:
            self._pipeline.step()
        except Exception as error:
            # The scheduler's state is unknown after a failed step: end the process, the worker starts another.
            logger.exception("the pipeline failed")
            for request_id in self._running:
                self._send({"ev": "error", "id": request_id, "code": "failed", "message": str(error)[:300]})
            raise SystemExit(70) from error
        self._collect()

    def _collect(self, *, announce: bool = True) -> None:
        """Send the text of the last step, and the ends."""
        pieces: list[tuple[int, str, int]] = []
        ended: list[tuple[int, _Running]] = []
        now = time.monotonic()
        for request_id, run in list(self._running.items()):
            count, text = self._read(run)
            status = run.handle.get_status()
            over = status != _RUNNING or run.text.stopped
            if over:
                text += run.text.finish()
                if status not in (_RUNNING, _FINISHED):
                    run.reason = "failed"
                ended.append((request_id, run))
            if count or text:
                pieces.append((request_id, text, count))
            if not over and now > run.deadline:
                run.reason = "deadline"
                ended.append((request_id, run))
        if pieces and announce:
            self._send({"ev": "pieces", "items": pieces})
        for request_id, run in ended:
            self._drop(request_id, run.reason, announce=announce)

    def _read(self, run: _Running) -> tuple[int, str]:
        count, text = 0, ""
        while not run.text.stopped and run.handle.can_read():
            for output in run.handle.read().values():
                ids = list(output.generated_ids)
                count += len(ids)
                text += run.text.push(ids)
        run.completion_tokens += count
        if run.completion_tokens >= run.max_tokens and not run.text.stopped:
            run.reason = "length"
        self._totals["generated_tokens"] += count
        return count, text

    def _drop(self, request_id: int, reason: str, *, announce: bool = True) -> None:
        run = self._running.pop(request_id, None)
        if run is None:
            return
        if run.handle.get_status() == _RUNNING:
            # The next step leaves this sequence out and frees its cache blocks.
            run.handle.cancel()
        if announce:
            self._send(
                {
                    "ev": "end",
                    "id": request_id,
                    "reason": reason,
                    "prompt_tokens": run.prompt_tokens,
                    "completion_tokens": run.completion_tokens,
                }
            )

    def _send(self, message: dict[str, Any]) -> None:
        self._connection.send_bytes(json.dumps(message).encode())


def main() -> None:
    """Entry point: `python -m apps.inference.engine.openvino_server <socket> <settings as JSON>`."""
    # The worker decides when this process ends, by closing the socket: a signal to the group must not cut replies.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    connection = Connection(int(sys.argv[1]))
    server = Server(connection, json.loads(sys.argv[2]))
    server.warm()
    server.serve()
    # The pipeline's destructor joins its threads, which takes up to a second that nobody needs.
    os._exit(0)


if __name__ == "__main__":
    main()
