"""Encoders from a transformers folder: classifier, reranker (cross-encoder) and tagger (token classification).

`ModelSpec.options`: those of transformers_common; `recheck` (default true): see below; `windows` (tagger, default 16):
how many windows of the model's length one text may take.

Labels are those of the float32 model. In bfloat16 a logit is off in its third digit, which changes the label of the
few texts whose two best labels are that close (0.6 % of the sentiment set). Therefore, where the dtype was chosen
automatically, texts whose margin is within the error measured at the start are computed again in float32. It costs the
float32 weights in memory and a tenth to a quarter of the speed. Measured with a classifier of MiniLM's size on the
sentiment set: the labels of the float32 pipeline on 1568 of 1568 texts, at 6 times its speed one text at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apps.inference.engine.backends.encoder_graph import Features, graphs_compile
from apps.inference.engine.backends.torch_threads import TorchThreads
from apps.inference.engine.backends.transformers_common import (
    first_line,
    import_libraries,
    input_limit,
    load_model,
    load_tokenizer,
    pick_device,
    pick_dtype,
)
from apps.inference.engine.base import GiveWay, Prepared, stay
from apps.inference.engine.errors import EngineError, ModelUnavailable
from apps.inference.engine.types import BatchItem, EngineConfig, FloatArray, ModelSpec, Span
from apps.inference.engine.windows import head_of

# Texts of several lengths and kinds, on which the error of the fast dtype is measured when the model is loaded.
_PROBES = (
    "",
    "ok",
    "I love it!",
    "This is the worst thing that I have ever bought; it broke on the second day.",
    "Barack Obama visited Berlin in July and met Angela Merkel at the office of Siemens AG.",
    "The delivery was late, but the people on the phone were kind and the second parcel arrived within two days.",
    "¿Dónde está la biblioteca? 図書館はどこですか。",
    "Nothing special, does what it says. " * 6,
)
# One text of more tokens is computed by all threads together: nothing else would keep them busy.
_LONG = 128
_COMPILED = ("float32", "bfloat16")
# A margin is the difference of two logits, so twice the error is possible.
_SAFETY = 2.0


@dataclass(frozen=True, slots=True)
class _Row:
    """One input row: token ids, and segment ids where the model has them."""

    ids: NDArray[np.int64]
    types: NDArray[np.int64]


# From features to logits.
_Way = Callable[[Features], FloatArray]


class _Encoder:
    """Loads a model and maps rows of tokens to float32 logits."""

    labels: tuple[str, ...] = ()
    auto_class: str

    def __init__(self, spec: ModelSpec, path: Path, config: EngineConfig) -> None:
        self._spec, self._path, self._config = spec, path, config
        self._torch: Any = None
        self._device: Any = None
        self._shape: Any = None
        self._fast: Any = None
        self._exact: Any = None
        self._tokenizer: Any = None
        self._threads: Any = None
        self._tolerance = 0.0
        self._limit = 0
        self._pad_id = 0
        self._type_ids = False

    def load(self) -> None:
        """Load the weights once, twice where labels are rechecked, and run them. Raises ModelUnavailable."""
        self._torch, transformers = import_libraries(self._config)
        self._device = pick_device(self._torch, self._spec)
        dtype = pick_dtype(self._torch, self._spec, self._device)
        auto_class = getattr(transformers, self.auto_class)

        def read(dtype: Any) -> Any:
            model = load_model(auto_class, self._spec, self._path, device=self._device, dtype=dtype)
            model.config.pad_token_id = self._pad_id or int(model.config.pad_token_id or 0)
            return model

        tokenizer = load_tokenizer(transformers, self._spec, self._path)
        self._pad_id = int(tokenizer.pad_token_id or 0)
        model = read(self._torch.float32 if self._device.type == "cpu" else dtype)
        self._shape = model.config
        self._pad_id = int(self._shape.pad_token_id)
        self._limit = input_limit(self._spec, self._shape, tokenizer)
        self._type_ids = "token_type_ids" in tokenizer.model_input_names
        self._tokenizer = self._own_tokenizer(tokenizer)
        self._check_labels()
        automatic = self._spec.options.get("dtype", "auto") == "auto"
        rechecks = self._rechecks() and dtype != self._torch.float32 and automatic
        self._fast, self._exact = self._ways(model, read, dtype, rechecks=rechecks)
        # A GPU computes one batch at a time by itself.
        count = self._config.threads if self._device.type == "cpu" else 1
        self._threads = TorchThreads(self._torch, count, f"encode-{self._spec.name}")
        self._calibrate()

    def stop(self) -> None:
        """Let the weights go."""
        if self._threads is not None:
            self._threads.stop()
        self._fast = self._exact = None

    # -- for the roles -----------------------------------------------------------------------------------------------
    def _rechecks(self) -> bool:
        return bool(self._spec.options.get("recheck", True))

    def _check_labels(self) -> None:
        """Fill `labels`, or raise ModelUnavailable when the head is not of this role."""
        named = self._shape.id2label
        self.labels = self._spec.labels or tuple(str(named[index]) for index in range(len(named)))
        if len(self.labels) != self._shape.num_labels:
            raise ModelUnavailable(
                f"{self._spec.name}: the catalogue lists {len(self.labels)} labels, the model has "
                f"{self._shape.num_labels}"
            )

    def _truncation(self) -> dict[str, Any]:
        return {"max_length": self._limit}

    def _own_tokenizer(self, tokenizer: Any) -> Any:
        # Set up once and then only read: the wrapper sets truncation at each call, which fails under threads.
        fast = getattr(tokenizer, "backend_tokenizer", None)
        if fast is None:
            raise ModelUnavailable(f"{self._spec.name}: its tokenizer has no tokenizer.json")
        fast.no_padding()
        fast.enable_truncation(**self._truncation())
        return fast

    def _encode(self, items: Sequence[BatchItem]) -> list[Any]:
        try:
            return list(self._tokenizer.encode_batch(list(items)))
        except (TypeError, ValueError) as error:
            raise EngineError(f"{self._spec.name} cannot read this input: {first_line(error)}") from error

    def _row(self, encoding: Any) -> _Row:
        return _Row(np.asarray(encoding.ids, dtype=np.int64), np.asarray(encoding.type_ids, dtype=np.int64))

    # -- the model ---------------------------------------------------------------------------------------------------
    def _calibrate(self) -> None:
        rows = [self._row(encoding) for encoding in self._encode(_PROBES)]
        fast = self._compute(self._fast, rows)
        if self._exact is not None:
            exact = self._compute(self._exact, rows)
            error = max(float(np.abs(a - b).max(initial=0.0)) for a, b in zip(fast, exact, strict=True))
            self._tolerance = _SAFETY * error

    def _logits(self, rows: Sequence[_Row], give_way: GiveWay, *, short: bool = False) -> list[FloatArray]:
        """Return the logits of each row, those with a close decision computed in float32."""
        logits = self._compute(self._fast, rows, give_way, short=short)
        if self._exact is None:
            return logits
        close = [index for index, one in enumerate(logits) if self._margin(one) <= self._tolerance]
        if close:
            again = self._compute(self._exact, [rows[i] for i in close], give_way, short=short)
            for index, one in zip(close, again, strict=True):
                logits[index] = one
        return logits

    def _margin(self, logits: FloatArray) -> float:
        """Return how far the closest decision is from going the other way."""
        if self._shape.problem_type == "multi_label_classification" or logits.shape[-1] < 2:
            return float(np.abs(logits).min(initial=np.inf))
        best = np.partition(logits, -2, axis=-1)
        return float((best[..., -1] - best[..., -2]).min(initial=np.inf))

    def _ways(self, model: Any, read: Callable[[Any], Any], dtype: Any, *, rechecks: bool) -> tuple[_Way, _Way | None]:
        """Return what computes fast, and what computes in float32 where close decisions are computed again."""
        torch, name = self._torch, str(dtype).removeprefix("torch.")
        if self._device.type == "cpu" and name in _COMPILED:
            graphs = graphs_compile(
                torch,
                model,
                lambda features: model(**features).logits,
                [self._features([self._row(one) for one in self._encode(part)]) for part in (_PROBES, _PROBES[4:5])],
                threads=self._config.threads,
                dtypes=[name, "float32"] if rechecks else [name],
            )
            if graphs is not None:
                return graphs[0], graphs[1] if rechecks else None
        fast = model if model.dtype == dtype else model.to(dtype)
        return self._torch_way(fast), self._torch_way(read(torch.float32)) if rechecks else None

    def _torch_way(self, model: Any) -> _Way:
        def logits(features: Features) -> FloatArray:
            tensors = {name: self._torch.from_numpy(value).to(self._device) for name, value in features.items()}
            with self._torch.inference_mode():
                found: FloatArray = model(**tensors).logits.float().cpu().numpy()
            return found

        return logits

    def _compute(
        self, way: _Way, rows: Sequence[_Row], give_way: GiveWay = stay, *, short: bool = False
    ) -> list[FloatArray]:
        if short:
            give_way()
            alone = getattr(way, "short", way)
            found: list[FloatArray] = self._threads.alone(lambda part: self._forward(alone, part), rows)
            return found
        if len(rows) == 1 and len(rows[0].ids) > _LONG:
            return self._forward(way, rows)
        return self._threads.split(lambda part: self._forward(way, part), rows, lambda row: len(row.ids), give_way)

    def _forward(self, way: _Way, rows: Sequence[_Row]) -> list[FloatArray]:
        logits = way(self._features(rows))
        if logits.ndim == 3:
            return [one[: len(row.ids)] for one, row in zip(logits, rows, strict=True)]
        return list(logits)

    def _features(self, rows: Sequence[_Row]) -> Features:
        """Return what the model reads, padded: int64 (n, longest) each."""
        lengths = [len(row.ids) for row in rows]
        # An empty text may have no token at all where the tokenizer adds none.
        shape = (len(rows), max(1, *lengths))
        ids = np.full(shape, self._pad_id, dtype=np.int64)
        mask, types = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
        for index, row in enumerate(rows):
            ids[index, : lengths[index]] = row.ids
            types[index, : lengths[index]] = row.types
            mask[index, : max(1, lengths[index])] = 1
        features = {"input_ids": ids, "attention_mask": mask}
        return features | {"token_type_ids": types} if self._type_ids else features


class TransformersClassifier(_Encoder):
    """Maps a text, or a pair of texts, to float32 (labels,) logits. Longer texts are cut on the right and flagged."""

    auto_class = "AutoModelForSequenceClassification"

    def prepare(self, items: Sequence[BatchItem]) -> list[Prepared]:
        """Tokenise; a pair that is too long loses tokens of its longer part."""
        heads = [_head(item, self._limit) for item in items]
        return [
            Prepared(len(encoding.ids), self._row(encoding), bool(encoding.overflowing) or head != item)
            for encoding, head, item in zip(self._encode(heads), heads, items, strict=True)
        ]

    def run(self, batch: Sequence[Prepared], give_way: GiveWay = stay, /) -> list[Any]:
        """Return one row of logits per item."""
        return self._logits([one.payload for one in batch], give_way)

    def run_short(self, batch: Sequence[Prepared], give_way: GiveWay = stay, /) -> list[Any]:
        """Return what `run` returns, computed on one thread beside it."""
        return self._logits([one.payload for one in batch], give_way, short=True)


class TransformersReranker(TransformersClassifier):
    """Maps (query, text) to a float logit; a head of two classes gives the second's logit less the first's."""

    def run(self, batch: Sequence[Prepared], give_way: GiveWay = stay, /) -> list[Any]:
        """Return one float per pair."""
        return self._scores(batch, give_way)

    def run_short(self, batch: Sequence[Prepared], give_way: GiveWay = stay, /) -> list[Any]:
        """Return what `run` returns, computed on one thread beside it."""
        return self._scores(batch, give_way, short=True)

    def _scores(self, batch: Sequence[Prepared], give_way: GiveWay, *, short: bool = False) -> list[Any]:
        rows = self._compute(self._fast, [one.payload for one in batch], give_way, short=short)
        return [float(row[-1] - row[0]) if len(row) == 2 else float(row[0]) for row in rows]

    def _rechecks(self) -> bool:
        return False

    def _check_labels(self) -> None:
        if self._shape.num_labels > 2:
            raise ModelUnavailable(f"{self._spec.name}: a reranker has one or two outputs")


@dataclass(frozen=True, slots=True)
class _Windows:
    """A text as overlapping windows: rows, and the offsets and content mask of their tokens."""

    text: str
    rows: list[_Row]
    offsets: list[NDArray[np.int64]]
    content: list[NDArray[np.bool_]]


class TransformersTagger(_Encoder):
    """Maps a text to its spans, grouped as by the transformers pipeline's aggregation strategy "simple".

    Neighbouring tokens of the same label form a span unless a "B-" starts another; its score is their mean. Spaces at
    the edges do not belong to a span. A text longer than the model is read in windows that overlap by an eighth; of
    each overlap the first half is taken from the window before and the rest from the window after. A text of more than
    `windows` windows is cut on the right and flagged.
    """

    auto_class = "AutoModelForTokenClassification"

    def prepare(self, items: Sequence[BatchItem]) -> list[Prepared]:
        """Tokenise into windows."""
        return [self._windows(str(item), encoding) for item, encoding in zip(items, self._encode(items), strict=True)]

    def run(self, batch: Sequence[Prepared], give_way: GiveWay = stay, /) -> list[Any]:
        """Return a tuple of Span per text."""
        return self._read(batch, give_way)

    def run_short(self, batch: Sequence[Prepared], give_way: GiveWay = stay, /) -> list[Any]:
        """Return what `run` returns, computed on one thread beside it."""
        return self._read(batch, give_way, short=True)

    def _read(self, batch: Sequence[Prepared], give_way: GiveWay, *, short: bool = False) -> list[Any]:
        owners = [(one.payload, index) for one in batch for index in range(len(one.payload.rows))]
        owners.sort(key=lambda owner: len(owner[0].rows[owner[1]].ids))
        logits: dict[tuple[int, int], FloatArray] = {}
        for part in self._parts(owners):
            found = self._logits([windows.rows[index] for windows, index in part], give_way, short=short)
            logits |= {(id(windows), index): one for (windows, index), one in zip(part, found, strict=True)}
        return [
            self._spans(one.payload, [logits[id(one.payload), index] for index in range(len(one.payload.rows))])
            for one in batch
        ]

    def _truncation(self) -> dict[str, Any]:
        return {"max_length": self._limit, "stride": self._limit // 8}

    def _check_labels(self) -> None:
        super()._check_labels()
        self._names = self.labels
        tags = (name.split("-", 1)[-1] for name in self._names)
        self.labels = tuple(dict.fromkeys(tag for tag in tags if tag != "O"))

    def _windows(self, text: str, encoding: Any) -> Prepared:
        bound = int(self._spec.options.get("windows", 16))
        parts = [encoding, *encoding.overflowing]
        kept = parts[:bound]
        half = (self._limit // 8) // 2
        content = [np.asarray(part.special_tokens_mask) == 0 for part in kept]
        for index in range(1, len(kept)):
            inside = np.flatnonzero(content[index])
            content[index][inside[:half]] = False
            before = np.flatnonzero(content[index - 1])
            overlap = self._limit // 8 - half
            content[index - 1][before[len(before) - overlap :]] = False
        offsets = [np.asarray(part.offsets, dtype=np.int64).reshape(-1, 2) for part in kept]
        windows = _Windows(text, [self._row(part) for part in kept], offsets, content)
        return Prepared(sum(len(row.ids) for row in windows.rows), windows, len(parts) > bound)

    def _parts(self, owners: list[tuple[_Windows, int]]) -> list[list[tuple[_Windows, int]]]:
        """Cut windows, sorted by length, into batches of at most the configured tokens with padding."""
        parts: list[list[tuple[_Windows, int]]] = []
        for owner in owners:
            width = len(owner[0].rows[owner[1]].ids)
            if parts and (len(parts[-1]) + 1) * width <= self._config.batch_tokens:
                parts[-1].append(owner)
            else:
                parts.append([owner])
        return parts

    def _spans(self, windows: _Windows, logits: list[FloatArray]) -> tuple[Span, ...]:
        scores = np.concatenate([one[mask] for one, mask in zip(logits, windows.content, strict=True)])
        offsets = np.concatenate([one[mask] for one, mask in zip(windows.offsets, windows.content, strict=True)])
        if not len(scores):
            return ()
        scores = np.exp(scores - scores.max(axis=1, keepdims=True))
        scores /= scores.sum(axis=1, keepdims=True)
        best = scores.argmax(axis=1)
        spans: list[Span] = []
        begin = 0
        for index in range(1, len(best) + 1):
            if index < len(best) and self._continues(int(best[index - 1]), int(best[index])):
                continue
            label = self._names[best[begin]].split("-", 1)[-1]
            if label != "O":
                score = float(scores[begin:index].max(axis=1).mean())
                span = _span(windows.text, int(offsets[begin, 0]), int(offsets[index - 1, 1]), label, score)
                spans.extend([span] if span is not None else [])
            begin = index
        return tuple(spans)

    def _continues(self, before: int, after: int) -> bool:
        last, name = self._names[before], self._names[after]
        return not name.startswith("B-") and _tag(last) == _tag(name)


def _head(item: BatchItem, max_tokens: int) -> BatchItem:
    """Return as much of an item as the model can read; what is no text is for the tokenizer to refuse."""
    if isinstance(item, str):
        return head_of(item, max_tokens)
    if isinstance(item, tuple) and len(item) == 2:
        return head_of(item[0], max_tokens), head_of(item[1], max_tokens)
    return item


def _tag(name: str) -> str:
    return name[2:] if name.startswith(("B-", "I-")) else name


def _span(text: str, start: int, end: int, label: str, score: float) -> Span | None:
    part = text[start:end]
    start += len(part) - len(part.lstrip())
    part = part.strip()
    return Span(start, start + len(part), label, score, part) if part else None
