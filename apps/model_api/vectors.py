"""Embeddings as other programs ask for them: many at once, shortened, as plain numbers."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from typing import cast

import numpy as np
from django.conf import settings

from apps.core.errors import DeadlineExceeded, Invalid
from apps.inference.services import embed_texts
from apps.inference.types import EmbedResult, FloatArray

# What one call of the engine takes.
BATCH_TEXTS = 256
# A float32 of about 0.05, as the components are, has no more; all 17 would double the size of the answer.
_DECIMALS = 9


def embed_all(texts: Sequence[str], *, tenant_id: uuid.UUID, model: str) -> EmbedResult:
    """Return what `embed_texts` returns, for any number of texts, within one deadline. Raises as it does."""
    ends = time.monotonic() + settings.API_DEADLINE_S
    parts: list[EmbedResult] = []
    truncated: list[int] = []
    for first in range(0, len(texts), BATCH_TEXTS):
        left_s = ends - time.monotonic()
        if left_s <= 0:
            raise DeadlineExceeded(retry_after_s=2)
        batch = texts[first : first + BATCH_TEXTS]
        part = embed_texts(batch, tenant_id=tenant_id, deadline_s=left_s, priority="api", model=model)
        parts.append(part)
        truncated += [first + number for number in part.truncated]
    vectors = np.concatenate([part.vectors for part in parts])
    return EmbedResult(vectors, tuple(truncated), sum(part.tokens for part in parts))


def shortened(vectors: FloatArray, dimensions: int | None) -> FloatArray:
    """Return the first `dimensions` of each vector, of length 1 again. Raises Invalid when there are not as many."""
    if dimensions is None:
        return vectors
    if dimensions > vectors.shape[1]:
        raise Invalid(
            f"The model's vectors have {vectors.shape[1]} dimensions.",
            code="invalid_value",
            details={"param": "dimensions"},
        )
    cut = vectors[:, :dimensions]
    norms = np.linalg.norm(cut, axis=1, keepdims=True)
    return cast("FloatArray", (cut / np.maximum(norms, 1e-12)).astype(np.float32))


def numbers(vectors: FloatArray) -> list[list[float]]:
    """Return the vectors as lists of numbers, to 9 decimals."""
    return cast("list[list[float]]", vectors.astype(np.float64).round(_DECIMALS).tolist())
