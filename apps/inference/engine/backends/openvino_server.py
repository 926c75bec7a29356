"""A chat model's own process: one OpenVINO GenAI continuous-batching pipeline, driven step by step.

It is a process because `ContinuousBatchingPipeline.step` holds Python's lock for the whole forward pass (20 to 200 ms):
in the worker it would stop every other thread. The protocol is in `process_chat`.
"""

from __future__ import annotations

import json
import logging
import os
import re
import secrets
import signal
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
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
class _Choice:
    """One of a request's answers. Its handle appears when it is submitted."""

    index: int
    text: TextStream
    handle: Any = None
    tokens: int = 0
    reason: str = ""


@dataclass(slots=True)
class _Request:
    ids: Any
    config: Any
    choices: list[_Choice]
    prompt_tokens: int
    deadline: float
    logprobs: bool
    beams: bool
    seed: int
    waiting: list[_Choice] = field(default_factory=list)


class Refused(Exception):
    """The request cannot be run as asked."""

    def __init__(self, code: str, message: str, parameter: str = "") -> None:
        super().__init__(message)
        self.code, self.parameter = code, parameter


class Server:
    """Owns the pipeline. Single-threaded: commands are read between two steps."""

    def __init__(self, connection: Connection, settings: dict[str, Any]) -> None:
        self._connection = connection
        self._context_tokens = int(settings["context_tokens"])
        self._running: dict[int, _Request] = {}
        self._handles = 0
        self._totals = {"prompt_tokens": 0, "generated_tokens": 0}
        scheduler = genai.SchedulerConfig()
        scheduler.cache_size = int(settings["kv_cache_gb"])
        scheduler.max_num_seqs = int(settings["slots"])
        scheduler.max_num_batched_tokens = int(settings["batched_tokens"])
        # Long prompts are split, so that running streams get their token in each step.
        scheduler.dynamic_split_fuse = True
        scheduler.enable_prefix_caching = True
        # Pinned threads would fight with the web process and PostgreSQL for the same cores.
        properties: dict[str, Any] = {"INFERENCE_NUM_THREADS": int(settings["threads"]), "ENABLE_CPU_PINNING": False}
        if settings["precision"] == "float32":
            # The cache may be rounded: the text stays that of float32 (docs/adr/0006-serving.md), at half the memory.
            properties |= {"INFERENCE_PRECISION_HINT": "f32", "KV_CACHE_PRECISION": "f16"}
            properties |= {"DYNAMIC_QUANTIZATION_GROUP_SIZE": 0}
        if settings["tokenizer"]:
            self._tokenizer = genai.Tokenizer(settings["tokenizer"])
            self._pipeline = genai.ContinuousBatchingPipeline(
                settings["path"], self._tokenizer, scheduler, "CPU", **properties
            )
        else:
            self._pipeline = genai.ContinuousBatchingPipeline(settings["path"], scheduler, "CPU", properties)
            self._tokenizer = self._pipeline.get_tokenizer()
        vocabulary = self._tokenizer.get_vocab()
        self._markers = [key.decode("utf-8", "replace") for key in vocabulary if _MARKER.fullmatch(key)]
        self._stop_ids = {self._tokenizer.get_eos_token_id()}
        self._stop_ids |= {vocabulary[marker] for marker in _END_MARKERS if marker in vocabulary}

    def warm(self) -> None:
        """Compile the kernels for a long prompt and for single tokens, so that the first visitor does not wait."""
        self._add({"id": 0, "messages": [{"role": "user", "content": "warm up " * 300}], "max_tokens": 8})
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
            except Refused as refused:
                self._refuse(message["id"], refused.code, str(refused), refused.parameter)
            except Exception as error:
                logger.exception("request refused")
                self._refuse(message["id"], "failed", str(error)[:300])
        elif operation == "cancel":
            self._drop(message["id"], announce=False)
        elif operation == "ping":
            usage = self._pipeline.get_metrics().cache_usage / 100
            self._send({"ev": "pong", "id": message["id"], "cache_usage": usage, **self._totals})

    def _refuse(self, request_id: int, code: str, text: str, parameter: str = "") -> None:
        self._send({"ev": "error", "id": request_id, "code": code, "message": text, "parameter": parameter})

    def _add(self, message: dict[str, Any]) -> None:
        prompt = message.get("prompt")
        if prompt is None:
            prompt = self._tokenizer.apply_chat_template(self._clean(message["messages"]), add_generation_prompt=True)
        else:
            prompt = self._clean_text(prompt)
        ids = self._tokenizer.encode(prompt, add_special_tokens=False).input_ids
        prompt_tokens = int(ids.shape[1])
        room = self._context_tokens - prompt_tokens
        if not prompt_tokens:
            raise Refused("unsupported", "the prompt is empty", "prompt")
        if room < 1:
            raise Refused(
                "prompt_too_long", f"the prompt has {prompt_tokens} tokens, the context holds {self._context_tokens}"
            )
        config = self._config(message, room)
        beams = int(message.get("beams") or 1) > 1
        stop = message.get("stop") or ()
        count = int(message.get("n") or 1)
        choices = [_Choice(index, TextStream(self._tokenizer.decode, stop)) for index in range(count)]
        deadline = time.monotonic() + float(message.get("deadline_s") or 3600)
        logprobs, seed = message.get("logprobs") is not None, message.get("seed")
        # Not the clock alone: requests that come in one batch must differ.
        seed = secrets.randbits(31) if seed is None else int(seed)
        request = _Request(ids, config, choices, prompt_tokens, deadline, logprobs, beams, seed)
        self._submit(request, choices[0])
        # The others start when the first has its first token: then the prompt is in the prefix cache.
        request.waiting = [] if beams else choices[1:]
        self._running[message["id"]] = request
        self._totals["prompt_tokens"] += prompt_tokens

    def _submit(self, request: _Request, choice: _Choice) -> None:
        self._handles += 1
        # Each choice draws on its own; the pipeline copies the configuration.
        request.config.rng_seed = (request.seed + choice.index) & 0x7FFFFFFF
        choice.handle = self._pipeline.add_request(self._handles, request.ids, request.config)

    def _config(self, message: dict[str, Any], room: int) -> Any:
        config = genai.GenerationConfig()
        config.max_new_tokens = max(1, min(int(message["max_tokens"]), room))
        config.stop_token_ids = self._stop_ids
        config.repetition_penalty = float(message.get("repetition_penalty") or 1.0)
        config.presence_penalty = float(message.get("presence_penalty") or 0.0)
        config.frequency_penalty = float(message.get("frequency_penalty") or 0.0)
        config.logprobs = 0 if message.get("logprobs") is None else 1
        beams = int(message.get("beams") or 1)
        if beams > 1:
            config.num_beams = beams
            config.num_return_sequences = int(message.get("n") or 1)
            if config.num_return_sequences > beams:
                raise Refused("unsupported", "n cannot be larger than beams", "n")
            if message.get("json_schema") is not None:
                # The pipeline would drop the constraint without a word.
                raise Refused("unsupported", "a schema cannot be combined with beams", "json_schema")
        elif float(message.get("temperature") or 0) > 0:
            config.do_sample = True
            config.temperature = float(message["temperature"])
            config.top_p = float(message.get("top_p") or 1.0)
            config.min_p = float(message.get("min_p") or 0.0)
            if message.get("top_k"):
                config.top_k = int(message["top_k"])
        if message.get("json_schema") is not None:
            schema = json.dumps(message["json_schema"] or {"type": "object"})
            config.structured_output_config = genai.StructuredOutputConfig(json_schema=schema)
        try:
            config.validate()
        except RuntimeError as error:
            raise Refused("unsupported", str(error).strip().splitlines()[-1][:300]) from error
        return config

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
                self._refuse(request_id, "failed", str(error)[:300])
            raise SystemExit(70) from error
        self._collect()

    def _collect(self, *, announce: bool = True) -> None:
        """Send the text of the last step, and the ends."""
        pieces: list[tuple[int, str, int, int, list[Any] | None]] = []
        ended: list[int] = []
        now = time.monotonic()
        for request_id, request in list(self._running.items()):
            for choice in request.choices:
                if choice.handle is not None and not choice.reason:
                    self._read(request_id, request, choice, pieces)
            if request.waiting and (request.choices[0].tokens or request.choices[0].reason):
                for choice in request.waiting:
                    self._submit(request, choice)
                request.waiting = []
            if now > request.deadline:
                for choice in request.choices:
                    choice.reason = choice.reason or "deadline"
            if all(choice.reason for choice in request.choices):
                ended.append(request_id)
        if pieces and announce:
            self._send({"ev": "pieces", "items": pieces})
        for request_id in ended:
            self._drop(request_id, announce=announce)

    def _read(self, request_id: int, request: _Request, choice: _Choice, pieces: list[Any]) -> None:
        status = choice.handle.get_status()
        if request.beams:
            if status != _RUNNING:
                self._read_beams(request_id, request, choice, pieces)
            return
        count, text = 0, ""
        logprobs: list[Any] | None = [] if request.logprobs else None
        while not choice.text.stopped and choice.handle.can_read():
            for output in choice.handle.read().values():
                ids = list(output.generated_ids)
                count += len(ids)
                text += choice.text.push(ids)
                if logprobs is not None:
                    logprobs += self._logprobs(ids, output.generated_log_probs)
        choice.tokens += count
        self._totals["generated_tokens"] += count
        if status != _RUNNING or choice.text.stopped:
            stopped = choice.text.stopped
            text += choice.text.finish()
            if status not in (_RUNNING, _FINISHED):
                choice.reason = "failed"
            else:
                full = choice.tokens >= request.config.max_new_tokens and not stopped
                choice.reason = "length" if full else "stop"
        if count or text:
            pieces.append((request_id, text, count, choice.index, logprobs))

    def _read_beams(self, request_id: int, request: _Request, first: _Choice, pieces: list[Any]) -> None:
        """Beam search has its texts at the end only, best first."""
        outputs = sorted(first.handle.read_all(), key=lambda output: -output.score)
        for choice, output in zip(request.choices, outputs, strict=False):
            ids = list(output.generated_ids)
            logprobs = self._logprobs(ids, output.generated_log_probs) if request.logprobs else None
            text = choice.text.push(ids)
            stopped = choice.text.stopped
            text += choice.text.finish()
            choice.tokens = len(ids)
            self._totals["generated_tokens"] += len(ids)
            choice.reason = "length" if len(ids) >= request.config.max_new_tokens and not stopped else "stop"
            pieces.append((request_id, text, len(ids), choice.index, logprobs))
        for choice in request.choices:
            choice.reason = choice.reason or "failed"

    def _logprobs(self, ids: list[int], values: list[float]) -> list[Any]:
        pairs = zip(ids, values, strict=False)
        return [[self._tokenizer.decode([token]), value, []] for token, value in pairs if token not in self._stop_ids]

    def _drop(self, request_id: int, *, announce: bool = True) -> None:
        request = self._running.pop(request_id, None)
        if request is None:
            return
        for choice in request.choices:
            if choice.handle is not None and choice.handle.get_status() == _RUNNING:
                # The next step leaves this sequence out and frees its cache blocks.
                choice.handle.cancel()
        if not announce:
            return
        reasons = [choice.reason for choice in request.choices]
        if "failed" in reasons:
            self._refuse(request_id, "failed", "the engine could not finish the generation")
            return
        tokens = sum(choice.tokens for choice in request.choices)
        end = {"id": request_id, "reasons": reasons, "prompt_tokens": request.prompt_tokens}
        self._send({"ev": "end", **end, "completion_tokens": tokens})

    def _send(self, message: dict[str, Any]) -> None:
        self._connection.send_bytes(json.dumps(message).encode())


def main() -> None:
    """Entry point: `python -m apps.inference.engine.backends.openvino_server <socket> <settings as JSON>`."""
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
