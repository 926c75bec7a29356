"""Which words made a classifier say what it says, from any process."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from apps.core.errors import DeadlineExceeded
from apps.inference.engine.errors import DeadlineExceeded as EngineDeadline
from apps.inference.engine.errors import EngineError
from apps.inference.engine.explaining import Attribution, Score, WordWeight, attribution_of
from apps.inference.engine.host import EngineHost
from apps.inference.engine.types import FloatArray
from apps.inference.services.faults import app_error, clean_text
from apps.inference.services.local import EngineStopping, engine_stopping, local_engine
from apps.inference.services.models import model_of
from apps.inference.services.rpc import RemoteCall
from apps.inference.types import LinearHead, Priority

# Enough for each word of a sentence or two by itself; longer texts get shares of neighbours.
MAX_EVALUATIONS = 256


def explain_text(
    text: str,
    *,
    tenant_id: uuid.UUID,
    target: int,
    model: str = "",
    head: LinearHead | None = None,
    deadline_s: float = 20.0,
    priority: Priority = "api",
) -> Attribution:
    """Return what each word adds to the probability of label `target`, of a classifier or of a head over an encoder.

    Cost:   at most about 256 runs of the model on parts of the text; 0.3 to 2 s.
    Errors: as `embed_texts`.
    """
    role = "embedding" if head is not None else "classifier"
    plain = head and {"weights": head.weights.tolist(), "bias": head.bias.tolist()}
    payload = {
        "kind": "explain",
        "text": clean_text(text),
        "role": role,
        "target": target,
        "model": model_of(role, model).name,  # type: ignore[arg-type]
        "head": plain,
    }
    engine = local_engine()
    if engine is None:
        if engine_stopping():
            raise EngineStopping
        return _remote(payload, tenant_id, deadline_s, priority)
    try:
        return explain_local(engine, payload, tenant_id, deadline_s, priority)
    except EngineError as error:
        if engine_stopping():
            raise EngineStopping from error
        raise app_error(error) from error


def explain_score(score: Score, text: str) -> Attribution:
    """Return what each word of `text` adds to `score`, which gives a probability for each of a list of texts.

    For labels that no single model gives; `explain_text` is quicker where one does.
    Cost:   about 256 texts in some eight calls of `score`, whose errors pass.
    """
    return attribution_of(score, clean_text(text), max_evaluations=MAX_EVALUATIONS)


def explain_local(
    engine: EngineHost, payload: Mapping[str, Any], tenant_id: uuid.UUID, deadline_s: float, priority: Priority
) -> Attribution:
    """Run on this process's engine. Raises EngineError."""
    give_up = time.monotonic() + deadline_s
    head = payload["head"]
    weights = head and (np.array(head["weights"], dtype=np.float32), np.array(head["bias"], dtype=np.float32))

    def score(texts: list[str]) -> FloatArray:
        left = give_up - time.monotonic()
        if left <= 0:
            raise EngineDeadline("the explanation took longer than its deadline")
        found = engine.run(
            payload["role"], texts, model=payload["model"], deadline_s=left, priority=priority, tenant=str(tenant_id)
        )
        logits = np.asarray(found.values, dtype=np.float32)
        if weights:
            logits = logits @ weights[0].T + weights[1]
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        return shares[:, payload["target"]] / shares.sum(axis=1)

    return attribution_of(score, payload["text"], max_evaluations=MAX_EVALUATIONS)


def _remote(payload: dict[str, Any], tenant_id: uuid.UUID, deadline_s: float, priority: Priority) -> Attribution:
    with RemoteCall(tenant_id, payload, deadline_s=deadline_s, priority=priority) as call:
        for fields in call.answers():
            if fields is not None:
                data = json.loads(fields[b"d"])
                return Attribution(tuple(WordWeight(**word) for word in data["words"]), data["base"], data["value"])
    raise DeadlineExceeded


def attribution_payload(found: Attribution) -> dict[str, Any]:
    """Return an attribution as plain values."""
    return asdict(found)
