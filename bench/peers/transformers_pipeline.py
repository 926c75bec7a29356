"""transformers' `pipeline` for classification. Options: `model`, `dtype`."""

from __future__ import annotations

import time
from typing import Any

from bench.peers.protocol import Actions, serve


def load(options: dict[str, Any]) -> tuple[dict[str, Any], Actions]:
    import torch
    from transformers import pipeline

    dtype = getattr(torch, options["dtype"])
    classifier: Any = pipeline("text-classification", options["model"], device="cpu", dtype=dtype)

    def classify(texts: list[str], at_once: int) -> dict[str, Any]:
        """Classify in batches of `at_once`; 1 is a call per text."""
        began = time.monotonic()
        if at_once == 1:
            found = [classifier(text, truncation=True, max_length=256)[0] for text in texts]
        else:
            found = classifier(texts, batch_size=at_once, truncation=True, max_length=256)
        return {"seconds": time.monotonic() - began, "labels": [row["label"] for row in found]}

    def lengths(texts: list[str]) -> list[int]:
        """Return how many tokens the model reads of each text."""
        return [len(ids) for ids in classifier.tokenizer(texts, truncation=True, max_length=256).input_ids]

    return {}, {"classify": classify, "lengths": lengths}


if __name__ == "__main__":
    serve(load)
