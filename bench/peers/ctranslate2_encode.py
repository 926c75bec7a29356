"""CTranslate2 as a sentence encoder, with mean pooling. Options: `model`, `compute_type`, `max_tokens`."""

from __future__ import annotations

import base64
import os
import time
from typing import Any

from bench.peers.protocol import Actions, serve


def load(options: dict[str, Any]) -> tuple[dict[str, Any], Actions]:
    import ctranslate2
    import numpy as np
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(options["model"])
    encoder = ctranslate2.Encoder(
        options["model"], compute_type=options["compute_type"], intra_threads=min(os.cpu_count() or 1, 8)
    )

    def batch(ids: list[list[int]]) -> Any:
        states = np.array(encoder.forward_batch(ids).last_hidden_state)
        mask = (np.arange(states.shape[1]) < np.array([[len(row)] for row in ids]))[:, :, None]
        means = (states * mask).sum(axis=1) / mask.sum(axis=1)
        return means / np.linalg.norm(means, axis=1, keepdims=True)

    def embed(texts: list[str], at_once: int) -> dict[str, Any]:
        """Encode `texts` sorted by length, in batches of `at_once`."""
        began = time.monotonic()
        ids = tokenizer(texts, truncation=True, max_length=options["max_tokens"]).input_ids
        order = sorted(range(len(ids)), key=lambda index: len(ids[index]))
        vectors: Any = None
        for start in range(0, len(order), at_once):
            part = order[start : start + at_once]
            rows = batch([ids[index] for index in part])
            vectors = np.empty((len(ids), rows.shape[1]), dtype="<f4") if vectors is None else vectors
            vectors[part] = rows
        seconds = time.monotonic() - began
        return {"seconds": seconds, "vectors": base64.b64encode(vectors.tobytes()).decode()}

    return {}, {"embed": embed}


if __name__ == "__main__":
    serve(load)
