"""Embedding backend: one encoder thread that batches the texts of all concurrent callers."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from apps.inference.engine.errors import DeadlineExceeded, ModelUnavailable, Overloaded
from apps.inference.engine.types import (
    EmbedCounters,
    EmbedResult,
    EngineConfig,
    FloatArray,
    ModelSpec,
    Priority,
)

_CLASSES: tuple[Priority, ...] = ("live", "api", "batch")
_BATCH_TEXTS = 64
# Bulk work may fill this share of the queue; the rest stays free for people who wait.
_BATCH_SHARE = 0.75
# How many queued texts are sorted by length at a time: enough for even batches; all of them run before later ones.
_SORT_WINDOW = 512


class _Call:
    """One caller's texts, filled row by row."""

    def __init__(self, count: int, dim: int, deadline: float) -> None:
        self.vectors: FloatArray = np.empty((count, dim), dtype=np.float32)
        self.left = count
        self.deadline = deadline
        self.done = threading.Event()
        self.error: Exception | None = None

    def fail(self, error: Exception) -> None:
        self.error = error
        self.done.set()


@dataclass(slots=True)
class _Item:
    call: _Call
    row: int
    ids: list[int]


class SentenceEmbedder:
    """A sentence-transformers model on the CPU. Calls are batched across threads, shortest texts together."""

    def __init__(self, spec: ModelSpec, path: Path, config: EngineConfig) -> None:
        self._spec, self._path, self._config = spec, path, config
        self._condition = threading.Condition()
        self._queues: dict[Priority, deque[_Item]] = {name: deque() for name in _CLASSES}
        self._ready: dict[Priority, deque[list[_Item]]] = {name: deque() for name in _CLASSES}
        self._queued = 0
        self._counters = EmbedCounters()
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._torch: Any = None
        self._model: Any = None
        self._tokenizer: Any = None
        self._pad_id = 0
        self._type_ids = False
        self._beat = 0.0

    def load(self) -> None:
        """Load the weights (safetensors only, no remote code, no network) and run one batch. Takes 3 to 7 s."""
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        # Spinning at the barriers of each layer turned a 10 ms query into 700 ms when another process used one core.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        import torch
        from sentence_transformers import SentenceTransformer

        torch.set_num_threads(self._config.threads)
        self._torch = torch
        dtype = self._pick_dtype()
        self._model = SentenceTransformer(
            str(self._path),
            device="cpu",
            local_files_only=True,
            trust_remote_code=False,
            model_kwargs={"use_safetensors": True, "dtype": dtype},
        ).eval()
        wrapped = self._model.tokenizer
        self._pad_id = int(wrapped.pad_token_id or 0)
        self._type_ids = "token_type_ids" in wrapped.model_input_names
        self._tokenizer = wrapped.backend_tokenizer
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_length=int(self._model.max_seq_length))
        self._thread = threading.Thread(target=self._run, name="embed-engine", daemon=True)
        self._thread.start()
        self.embed(["warm up", "warm up " * 60], deadline_s=60.0, priority="live")

    def embed(self, texts: Sequence[str], *, deadline_s: float, priority: Priority = "live") -> EmbedResult:
        """Return one unit-length vector per text, in input order.

        Shape:  n texts -> float32 (n, dim), each row of L2 norm 1 within 1e-5. An empty text is a text like any other.
        Limits: texts longer than the model's input are cut on the right and listed in `truncated`.
        Errors: Overloaded (queue full), DeadlineExceeded, ModelUnavailable.
        """
        if not texts:
            return EmbedResult(np.empty((0, self._spec.dim), dtype=np.float32))
        encodings = self._tokenizer.encode_batch(list(texts))
        call = _Call(len(texts), self._spec.dim, time.monotonic() + deadline_s)
        items = [_Item(call, row, encoding.ids) for row, encoding in enumerate(encodings)]
        self._enqueue(items, priority)
        if not call.done.wait(deadline_s):
            raise DeadlineExceeded("the texts were not embedded before the deadline")
        if call.error is not None:
            raise call.error
        truncated = tuple(row for row, encoding in enumerate(encodings) if encoding.overflowing)
        return EmbedResult(call.vectors, truncated)

    def health(self) -> bool:
        """Return whether the encoder thread is alive and not stuck in one batch for more than 10 s."""
        alive = self._thread is not None and self._thread.is_alive() and not self._stopping
        return alive and (not self._queued or time.monotonic() - self._beat < 10.0)

    def info(self) -> EmbedCounters:
        """Return a copy of the counters."""
        with self._condition:
            current = self._counters
            return EmbedCounters(self._queued, current.texts, current.tokens, current.batches, current.expired)

    def stop(self) -> None:
        """Refuse new texts and fail those that wait."""
        with self._condition:
            self._stopping = True
            self._condition.notify_all()
        if self._thread is not None:
            self._thread.join(2.0)

    def _pick_dtype(self) -> Any:
        torch = self._torch
        wanted = self._config.embed_dtype
        if wanted == "auto":
            # Three times as fast where the processor multiplies bfloat16 (lowest cosine to float32 here 0.9999), and
            # much slower where it has to be emulated.
            wanted = "bfloat16" if torch.ops.mkldnn._is_mkldnn_bf16_supported() else "float32"
        return torch.bfloat16 if wanted == "bfloat16" else torch.float32

    def _enqueue(self, items: list[_Item], priority: Priority) -> None:
        bound = self._config.embed_max_queued_texts
        if priority == "batch":
            bound = int(bound * _BATCH_SHARE)
        with self._condition:
            if self._stopping or self._thread is None:
                raise ModelUnavailable(f"{self._spec.name} is not running")
            if self._queued + len(items) > bound:
                raise Overloaded(f"{self._queued} texts are waiting to be embedded")
            if not self._queued:
                self._beat = time.monotonic()
            self._queues[priority].extend(items)
            self._queued += len(items)
            self._condition.notify()

    def _run(self) -> None:
        while True:
            with self._condition:
                while not self._queued and not self._stopping:
                    self._condition.wait()
                if self._stopping:
                    self._fail_waiting()
                    return
                batch = self._take_batch()
            self._beat = time.monotonic()
            if batch:
                self._encode(batch)

    def _fail_waiting(self) -> None:
        for name in _CLASSES:
            for item in [*self._queues[name], *(item for batch in self._ready[name] for item in batch)]:
                item.call.fail(ModelUnavailable("the engine is stopping"))
            self._queues[name].clear()
            self._ready[name].clear()
        self._queued = 0

    def _take_batch(self) -> list[_Item]:
        """Take the next batch, most urgent class first. Called under the lock."""
        name = next(name for name in _CLASSES if self._ready[name] or self._queues[name])
        if not self._ready[name]:
            waiting = self._queues[name]
            window = [waiting.popleft() for _ in range(min(len(waiting), _SORT_WINDOW))]
            self._ready[name].extend(_batches(window, self._config.embed_batch_tokens))
        batch = self._ready[name].popleft()
        self._queued -= len(batch)
        now = time.monotonic()
        alive = [item for item in batch if item.call.deadline > now and item.call.error is None]
        self._counters.expired += len(batch) - len(alive)
        return alive

    def _encode(self, batch: list[_Item]) -> None:
        try:
            vectors = self._forward([item.ids for item in batch])
        except Exception as error:  # noqa: BLE001  (whatever it is, the callers must hear of it)
            for item in batch:
                item.call.fail(ModelUnavailable(f"the embedding model failed: {error}"))
            return
        with self._condition:
            self._counters.batches += 1
            self._counters.texts += len(batch)
            self._counters.tokens += sum(len(item.ids) for item in batch)
        for item, vector in zip(batch, vectors, strict=True):
            item.call.vectors[item.row] = vector
            item.call.left -= 1
            if not item.call.left:
                item.call.done.set()

    def _forward(self, rows: list[list[int]]) -> FloatArray:
        torch = self._torch
        width = max(map(len, rows))
        ids = np.full((len(rows), width), self._pad_id, dtype=np.int64)
        mask = np.zeros((len(rows), width), dtype=np.int64)
        for index, row in enumerate(rows):
            ids[index, : len(row)] = row
            mask[index, : len(row)] = 1
        features = {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)}
        if self._type_ids:
            features["token_type_ids"] = torch.zeros_like(features["input_ids"])
        with torch.inference_mode():
            output = self._model(features)["sentence_embedding"].float()
            output = torch.nn.functional.normalize(output, dim=1)
        result: FloatArray = output.numpy()
        return result


def _batches(items: list[_Item], budget_tokens: int) -> list[list[_Item]]:
    """Cut `items`, sorted by length, into batches of at most `budget_tokens` tokens with padding."""
    batches: list[list[_Item]] = []
    for item in sorted(items, key=lambda item: len(item.ids)):
        last = batches[-1] if batches else None
        if last and len(last) < _BATCH_TEXTS and (len(last) + 1) * len(item.ids) <= budget_tokens:
            last.append(item)
        else:
            batches.append([item])
    return batches
