"""Sentence embeddings, from any process."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence

import numpy as np

from apps.core.errors import DeadlineExceeded, TooLarge
from apps.inference.engine.errors import EngineError
from apps.inference.services.faults import app_error, clean_text
from apps.inference.services.local import EngineStopping, engine_stopping, local_engine
from apps.inference.services.models import default_model
from apps.inference.services.rpc import RemoteCall
from apps.inference.types import EmbedResult, Priority

MAX_TEXTS = 256


def embed_texts(
    texts: Sequence[str], *, tenant_id: uuid.UUID, deadline_s: float = 10.0, priority: Priority = "live"
) -> EmbedResult:
    """Return one unit-length vector per text, in input order, from the default embedding model.

    Shape:  n texts -> float32 (n, dim); each row has L2 norm 1 within 1e-5.
    Limits: n <= 256; a text longer than the model's input is cut on the right and its index is in `truncated`.
    Errors: TooLarge, Busy (queue full), DeadlineExceeded, Unavailable; EngineStopping in a worker that shuts down.
    Effects: none that lasts; outside the inference worker the texts lie in Redis until the answer or the deadline.
    """
    if len(texts) > MAX_TEXTS:
        raise TooLarge(f"At most {MAX_TEXTS} texts can be embedded at once.", code="too_many_texts")
    cleaned = [clean_text(text) for text in texts]
    if not cleaned:
        return EmbedResult(np.empty((0, default_model("embedding").dim), dtype=np.float32))
    engine = local_engine()
    if engine is None:
        if engine_stopping():
            raise EngineStopping
        return _embed_remote(cleaned, tenant_id, deadline_s, priority)
    try:
        return engine.embed(cleaned, deadline_s=deadline_s, priority=priority)
    except EngineError as error:
        if engine_stopping():
            raise EngineStopping from error
        raise app_error(error) from error


def _embed_remote(texts: list[str], tenant_id: uuid.UUID, deadline_s: float, priority: Priority) -> EmbedResult:
    payload = {"kind": "embed", "texts": texts}
    with RemoteCall(tenant_id, payload, deadline_s=deadline_s, priority=priority) as call:
        for fields in call.answers():
            if fields is not None:
                vectors = np.frombuffer(fields[b"v"], dtype="<f4").reshape(len(texts), -1)
                return EmbedResult(vectors.astype(np.float32), tuple(json.loads(fields[b"d"])))
    raise DeadlineExceeded
