"""A stand-in for the encoder: hashed bags of stems. Good for rules, not for meaning."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np

from apps.nlp.services.grounding.text import tokens


def bag_embed(texts: Sequence[str]) -> np.ndarray:
    """Return unit rows, float32 (n, 512)."""
    rows = np.zeros((len(texts), 512), dtype=np.float32)
    for row, text in zip(rows, texts, strict=True):
        for token in tokens(text):
            row[zlib.crc32(token.form.encode()) % 512] += 1
        row[0] += 1e-3
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)
