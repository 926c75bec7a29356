"""The default chat model's greedy text beside that of the float32 model.

`greedy_reference.json` holds what transformers 5.23 computes in float32 from the packaged weights, expanded without loss:
the first 60 tokens for each question, `generate(do_sample=False)` with the model's own chat template.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from apps.inference.engine.host import EngineHost
from apps.inference.engine.types import ChatMessage, GenerateRequest

pytestmark = pytest.mark.models

REFERENCE = json.loads(Path(__file__).with_name("greedy_reference.json").read_text(encoding="utf-8"))
# Another processor adds in another order, and where two tokens are equally likely that decides.
ALLOWED_TIES = 1


def equal(host: EngineHost, *, at_once: int) -> int:
    """Return how many questions get the reference's text."""
    right = 0
    for start in range(0, len(REFERENCE), at_once):
        group = REFERENCE[start : start + at_once]
        running = [
            host.generate(GenerateRequest((ChatMessage("user", row["question"]),), max_tokens=60), deadline_s=60)
            for row in group
        ]
        texts = ["".join(piece.text for piece in generation) for generation in running]
        right += sum(text.strip() == row["text"].strip() for text, row in zip(texts, group, strict=True))
    return right


@pytest.mark.parametrize("at_once", [1, 4])
def test_greedy_text_is_the_float32_models(host: EngineHost, at_once: int) -> None:
    assert len(REFERENCE) == 20
    assert equal(host, at_once=at_once) >= len(REFERENCE) - ALLOWED_TIES
