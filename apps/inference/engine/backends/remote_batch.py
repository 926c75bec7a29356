"""Batch backends over model servers: OpenAI's embeddings route, and text-embeddings-inference (TEI)."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

import numpy as np

from apps.inference.engine.backends.remote_link import RemoteLink, ServerFailure, read_all
from apps.inference.engine.base import GiveWay, Prepared, stay
from apps.inference.engine.errors import EngineError, ModelUnavailable, PromptTooLong, Unsupported
from apps.inference.engine.types import BatchItem, EngineConfig, FloatArray, ModelSpec

logger = logging.getLogger(__name__)

_TIMEOUT_S = 20.0
_MAX_ANSWER_BYTES = 64 << 20
_MAX_CUTS = 8
# The tokenizer is the server's: texts are weighed by their length.
_CHARS_PER_TOKEN = 3
_ROUTES = {
    ("openai", "embedding"): "embeddings",
    ("tei", "embedding"): "embed",
    ("tei", "reranker"): "rerank",
    ("tei", "classifier"): "predict",
}
_HEALTH = {"openai": "models", "tei": "health"}


class RemoteBatch:
    """Sends the items of a batch to a server, several requests side by side.

    Source: `remote:<base URL>`; for the dialect "openai" usually ending in /v1.
    Options: those of RemoteOptions, `timeout_s` (20) bounding a whole request, its repetitions included; `dialect`
    "openai" (embeddings) or "tei" (embeddings, rerankers, classifiers); `batch_size` (32) items in a request.
    Long texts: TEI is told to cut them, and does not say which. For a server that refuses them, a refused text is sent
    again by itself and halved until it fits, so that it does not fail the texts beside it.
    """

    def __init__(self, spec: ModelSpec, path: Path, config: EngineConfig) -> None:
        self._spec, self._role = spec, spec.role
        self._dialect = str(spec.options.get("dialect", "openai"))
        route = _ROUTES.get((self._dialect, spec.role))
        if route is None:
            known = ", ".join(f"{role} by {dialect}" for dialect, role in _ROUTES)
            raise ModelUnavailable(f"{spec.name}: no remote {spec.role} by {self._dialect!r}; known: {known}")
        self._route = route
        self._batch_size = max(1, int(spec.options.get("batch_size", 32)))
        self._link = RemoteLink(spec, config, health_path=_HEALTH[self._dialect], timeout_s=_TIMEOUT_S)
        self.labels: tuple[str, ...] = spec.labels

    def load(self) -> None:
        """Check the settings, and learn a classifier's labels where the entry has none. Raises ModelUnavailable."""
        self._link.open()
        if self._role == "classifier" and not self.labels:
            probe = {"inputs": [["labels"]], "raw_scores": True, "truncate": True}
            try:
                # TEI sorts by score: the names' own order is one that stays.
                names = self._link.submit(self._post(probe, lambda answer: [one["label"] for one in answer[0]]))
                self.labels = tuple(sorted(map(str, names.result())))
            except EngineError as error:
                self._link.close()
                raise ModelUnavailable(f"{self._spec.name}: its labels could not be learnt: {error}") from error
        elif not self._link.health():
            logger.warning("the server of %s does not answer yet", self._spec.name)

    def prepare(self, items: Sequence[BatchItem]) -> list[Prepared]:
        """Weigh the items. Raises Unsupported for items of the wrong kind."""
        return [Prepared(1 + sum(map(len, texts)) // _CHARS_PER_TOKEN, texts) for texts in map(self._texts, items)]

    def run(self, batch: Sequence[Prepared], _: GiveWay = stay, /) -> list[Any]:
        """Return one value per item, in order. Raises EngineError: the server failed, is busy, or refuses an item."""
        try:
            return self._link.submit(self._run([item.payload for item in batch])).result()
        except CancelledError:
            raise ModelUnavailable(f"{self._spec.name} is stopping") from None

    def health(self) -> bool:
        """Return whether the server answers within 5 s."""
        return self._link.health()

    def stop(self) -> None:
        """Close all connections."""
        self._link.close()

    # -- inside ------------------------------------------------------------------------------------------------------
    def _texts(self, item: BatchItem) -> tuple[str, ...]:
        texts = (item,) if isinstance(item, str) else item
        pair = self._role == "reranker" or (self._role == "classifier" and not isinstance(item, str))
        if not isinstance(texts, tuple) or len(texts) != (2 if pair else 1) or not all(map(_is_text, texts)):
            raise Unsupported("input", f"{self._spec.name} takes {'pairs of texts' if pair else 'texts'}")
        return tuple(text.encode("utf-8", "replace").decode() for text in texts)

    async def _run(self, payloads: list[tuple[str, ...]]) -> list[Any]:
        gate = asyncio.Semaphore(self._link.options.slots)
        values: list[Any] = [None] * len(payloads)

        async def one(places: list[int]) -> None:
            async with gate:
                part = await self._values([payloads[place] for place in places])
            for place, value in zip(places, part, strict=True):
                values[place] = value

        await _all([one(places) for places in self._parts(payloads)])
        return values

    def _parts(self, payloads: list[tuple[str, ...]]) -> list[list[int]]:
        """Cut the batch into requests, as places in it; those of a reranker have one query."""
        groups: dict[str, list[int]] = {}
        for place, texts in enumerate(payloads):
            groups.setdefault(texts[0] if self._role == "reranker" else "", []).append(place)
        size = self._batch_size
        return [group[start : start + size] for group in groups.values() for start in range(0, len(group), size)]

    async def _values(self, part: list[tuple[str, ...]], cuts: int = 0) -> list[Any]:
        try:
            return await self._post(self._body(part), lambda answer: self._read(answer, len(part)))
        except PromptTooLong:
            if len(part) > 1:
                return [value for texts in part for value in await self._values([texts])]
            if cuts == _MAX_CUTS:
                raise
            shorter = (*part[0][:-1], part[0][-1][: len(part[0][-1]) // 2])
            return await self._values([shorter], cuts + 1)

    def _body(self, part: list[tuple[str, ...]]) -> dict[str, Any]:
        if self._dialect == "openai":
            texts = [texts[0] for texts in part]
            return {"model": self._link.options.model, "input": texts, "encoding_format": "base64"}
        if self._role == "reranker":
            return {"query": part[0][0], "texts": [texts[1] for texts in part], "raw_scores": True, "truncate": True}
        if self._role == "classifier":
            return {"inputs": [list(texts) for texts in part], "raw_scores": True, "truncate": True}
        return {"inputs": [texts[0] for texts in part], "normalize": True, "truncate": True}

    async def _post(self, body: Mapping[str, Any], read: Callable[[Any], list[Any]]) -> list[Any]:
        """Return what `read` makes of the parsed answer. Raises EngineError."""
        try:
            async with (
                asyncio.timeout(self._link.options.timeout_s),
                self._link.exchange(self._route, body) as response,
            ):
                raw = await read_all(response, _MAX_ANSWER_BYTES)
                try:
                    return read(json.loads(raw))
                except (KeyError, TypeError, ValueError, IndexError, AttributeError, RecursionError) as error:
                    name = self._spec.name
                    raise ServerFailure(f"the server of {name} sent something that is no answer") from error
        except TimeoutError:
            self._link.hung()
            raise ServerFailure(f"the server of {self._spec.name} did not answer in time") from None

    def _read(self, answer: Any, count: int) -> list[Any]:
        """Return the values of one answer, in the order of what was sent. Raises ValueError and its like."""
        if self._dialect == "openai":
            rows = _list(answer["data"])
            found = {int(row["index"]): _vector(row["embedding"], self._spec.dim) for row in rows}
            return [found[index] for index in range(count)]
        rows = _list(answer)
        if self._role == "reranker":
            scores = {int(row["index"]): float(row["score"]) for row in rows}
            return [_finite(scores[index]) for index in range(count)]
        if len(rows) != count:
            raise ValueError(f"{len(rows)} rows for {count} items")
        if self._role == "classifier":
            return [self._logits(row) for row in rows]
        return [_vector(row, self._spec.dim) for row in rows]

    def _logits(self, row: list[dict[str, Any]]) -> FloatArray:
        scores = {str(one["label"]): _finite(float(one["score"])) for one in row}
        return np.array([scores[label] for label in self.labels], dtype=np.float32)


async def _all(work: list[Coroutine[Any, Any, None]]) -> None:
    """Await all of it; the first failure cancels the rest."""
    failures: list[BaseException] = []
    try:
        async with asyncio.TaskGroup() as group:
            for one in work:
                group.create_task(one)
    except BaseExceptionGroup as failed:
        failures = list(failed.exceptions)
    if failures:
        raise failures[0]


def _vector(given: Any, dim: int) -> FloatArray:
    """Return a row of norm 1 from floats, or from base64 of little-endian float32."""
    if isinstance(given, str):
        row = np.frombuffer(base64.b64decode(given, validate=True), dtype="<f4").astype(np.float32)
    else:
        row = np.array(given, dtype=np.float32)
    norm = float(np.linalg.norm(row))
    if row.ndim != 1 or not row.size or (dim and row.size != dim):
        raise ValueError(f"a vector of shape {row.shape}, not {dim}")
    if not np.isfinite(norm) or norm == 0:
        raise ValueError("a vector without a direction")
    return row / np.float32(norm)


def _finite(value: float) -> float:
    if not np.isfinite(value):
        raise ValueError("a score that is no number")
    return value


def _list(given: Any) -> list[Any]:
    if not isinstance(given, list):
        raise TypeError("no list")
    return given


def _is_text(value: Any) -> bool:
    return isinstance(value, str)
