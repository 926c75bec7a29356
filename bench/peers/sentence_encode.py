"""Plain sentence-transformers. Options: `model`, `dtype`."""

from __future__ import annotations

import base64
import time
from typing import Any

from bench.peers.protocol import Actions, serve


def load(options: dict[str, Any]) -> tuple[dict[str, Any], Actions]:
    import torch
    from sentence_transformers import SentenceTransformer

    kwargs = {"dtype": getattr(torch, options["dtype"])}
    model: Any = SentenceTransformer(options["model"], device="cpu", local_files_only=True, model_kwargs=kwargs)

    def embed(texts: list[str], at_once: int) -> dict[str, Any]:
        """Encode `texts` in one call, in batches of `at_once`: it sorts them by length itself."""
        began = time.monotonic()
        vectors = model.encode(texts, batch_size=at_once, normalize_embeddings=True, show_progress_bar=False)
        seconds = time.monotonic() - began
        return {"seconds": seconds, "vectors": base64.b64encode(vectors.astype("<f4").tobytes()).decode()}

    def lengths(texts: list[str]) -> list[int]:
        """Return how many tokens the model reads of each text."""
        return [len(ids) for ids in model.tokenizer(texts, truncation=True, max_length=model.max_seq_length).input_ids]

    return {}, {"embed": embed, "lengths": lengths}


if __name__ == "__main__":
    serve(load)
