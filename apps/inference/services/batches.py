"""Work on lists of items, from any process: vectors, labels, relevance, spans, translations."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any, cast

import numpy as np

from apps.core.errors import Cancelled, DeadlineExceeded, TooLarge
from apps.inference.engine.errors import EngineError
from apps.inference.engine.host import EngineHost
from apps.inference.engine.types import BatchItem
from apps.inference.services.faults import app_error, clean_text
from apps.inference.services.local import EngineStopping, engine_stopping, local_engine
from apps.inference.services.models import default_model, model_of
from apps.inference.services.rpc import RemoteCall
from apps.inference.types import (
    ClassifyResult,
    EmbedResult,
    Priority,
    RerankResult,
    Role,
    Span,
    TagResult,
    TextResult,
    TranslateItem,
)

MAX_ITEMS = 256


def embed_texts(
    texts: Sequence[str],
    *,
    tenant_id: uuid.UUID,
    deadline_s: float = 10.0,
    priority: Priority = "live",
    model: str = "",
    should_stop: Callable[[], bool] = lambda: False,
) -> EmbedResult:
    """Return one unit-length vector per text, in input order.

    Shape:  n texts -> float32 (n, dim); each row has L2 norm 1 within 1e-5.
    Limits: n <= 256; a text longer than the model's input is cut on the right and its index is in `truncated`.
    Errors: TooLarge, NotFound, Invalid, Busy (queue full), DeadlineExceeded, Unavailable; EngineStopping in a worker
            that shuts down; Cancelled when `should_stop` says so, which a process without models asks four times a second.
    Effects: none that lasts; outside the inference worker the texts lie in Redis until the answer or the deadline.
    """
    if not texts:
        return EmbedResult(np.empty((0, default_model("embedding").dim), dtype=np.float32))
    result = _run("embedding", texts, tenant_id, deadline_s, priority, model, should_stop)
    return EmbedResult(_floats(result["values"]), result["truncated"], result["tokens"])


def classify_texts(
    texts: Sequence[str | tuple[str, str]],
    *,
    tenant_id: uuid.UUID,
    deadline_s: float = 10.0,
    priority: Priority = "api",
    model: str = "",
) -> ClassifyResult:
    """Return a classifier's raw scores for each text or pair of texts. Limits and errors as `embed_texts`."""
    result = _run("classifier", texts, tenant_id, deadline_s, priority, model)
    return ClassifyResult(result["labels"], _floats(result["values"]), result["truncated"], result["tokens"])


def rerank_texts(
    query: str,
    texts: Sequence[str],
    *,
    tenant_id: uuid.UUID,
    deadline_s: float = 10.0,
    priority: Priority = "api",
    model: str = "",
) -> RerankResult:
    """Return the relevance of each text to `query` as a raw score. Limits and errors as `embed_texts`."""
    pairs = [(query, text) for text in texts]
    result = _run("reranker", pairs, tenant_id, deadline_s, priority, model)
    return RerankResult(_floats(result["values"]).reshape(-1), result["truncated"], result["tokens"])


def tag_texts(
    texts: Sequence[str | tuple[str, str]],
    *,
    tenant_id: uuid.UUID,
    deadline_s: float = 10.0,
    priority: Priority = "api",
    model: str = "",
) -> TagResult:
    """Return the labelled spans of each text, or pair of text and language. Limits and errors as `embed_texts`."""
    result = _run("tagger", texts, tenant_id, deadline_s, priority, model)
    spans = tuple(tuple(Span(*span) for span in row) for row in result["values"])
    return TagResult(spans, result["truncated"], result["tokens"])


def translate_texts(
    items: Sequence[TranslateItem],
    *,
    tenant_id: uuid.UUID,
    deadline_s: float = 30.0,
    priority: Priority = "api",
    model: str = "",
) -> TextResult:
    """Return each text in its target language. Limits and errors as `embed_texts`."""
    result = _run("translator", items, tenant_id, deadline_s, priority, model)
    return TextResult(tuple(result["values"]), result["truncated"], result["tokens"])


def rewrite_texts(
    texts: Sequence[str],
    *,
    tenant_id: uuid.UUID,
    deadline_s: float = 30.0,
    priority: Priority = "api",
    model: str = "",
) -> TextResult:
    """Return what an encoder-decoder model makes of each text. Limits and errors as `embed_texts`."""
    result = _run("text2text", texts, tenant_id, deadline_s, priority, model)
    return TextResult(tuple(result["values"]), result["truncated"], result["tokens"])


def _floats(rows: Any) -> Any:
    return np.asarray(rows, dtype=np.float32)


def _run(
    role: Role,
    items: Sequence[BatchItem],
    tenant_id: uuid.UUID,
    deadline_s: float,
    priority: Priority,
    model: str,
    should_stop: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:
    """Return values, truncated, tokens and labels, from this process's engine or the worker's."""
    if len(items) > MAX_ITEMS:
        raise TooLarge(f"At most {MAX_ITEMS} texts can be given at once.", code="too_many_texts")
    name = model_of(role, model).name
    cleaned = [_clean(item) for item in items]
    engine = local_engine()
    if engine is None:
        if engine_stopping():
            raise EngineStopping
        return _run_remote(role, cleaned, tenant_id, deadline_s, priority, name, should_stop)
    try:
        return run_local(engine, role, cleaned, tenant_id, deadline_s, priority, name)
    except EngineError as error:
        if engine_stopping():
            raise EngineStopping from error
        raise app_error(error) from error


def run_local(
    engine: EngineHost,
    role: Role,
    items: Sequence[BatchItem],
    tenant_id: uuid.UUID,
    deadline_s: float,
    priority: Priority,
    model: str,
) -> dict[str, Any]:
    """Run on this process's engine. Raises EngineError."""
    result = engine.run(role, items, model=model, deadline_s=deadline_s, priority=priority, tenant=str(tenant_id))
    values: Any = result.values
    if role == "tagger":
        values = [[[s.start, s.end, s.label, s.score, s.text] for s in row] for row in values]
    labels = engine.labels(model, deadline_s=deadline_s) if role == "classifier" else ()
    return {"values": values, "truncated": result.truncated, "tokens": result.tokens, "labels": labels}


def _clean(item: BatchItem) -> BatchItem:
    if isinstance(item, TranslateItem):
        return TranslateItem(clean_text(item.text), item.source, item.target)
    if isinstance(item, tuple):
        return clean_text(item[0]), clean_text(item[1])
    return clean_text(item)


def items_payload(role: Role, items: Sequence[BatchItem]) -> list[Any]:
    """Return items as plain values."""
    return [asdict(item) for item in items if isinstance(item, TranslateItem)] if role == "translator" else list(items)


def items_from(role: Role, items: list[Any]) -> list[BatchItem]:
    """Return the items that `items_payload` wrote."""
    if role == "translator":
        return [TranslateItem(**item) for item in items]
    return [cast(BatchItem, tuple(item) if isinstance(item, list) else item) for item in items]


def _run_remote(
    role: Role,
    items: list[BatchItem],
    tenant_id: uuid.UUID,
    deadline_s: float,
    priority: Priority,
    model: str,
    should_stop: Callable[[], bool],
) -> dict[str, Any]:
    payload = {"kind": "batch", "role": role, "items": items_payload(role, items), "model": model}
    with RemoteCall(tenant_id, payload, deadline_s=deadline_s, priority=priority) as call:
        for fields in call.answers():
            if fields is None:
                if should_stop():
                    raise Cancelled
                continue
            data = json.loads(fields[b"d"])
            if b"v" in fields:
                data["values"] = np.frombuffer(fields[b"v"], dtype="<f4").reshape(len(items), -1)
            return data | {"truncated": tuple(data["truncated"]), "labels": tuple(data["labels"])}
    raise DeadlineExceeded
