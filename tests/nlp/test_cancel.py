"""A cancelled job takes no further step: counted, since how long a step takes depends on the machine."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from apps.core.errors import Cancelled
from apps.core.ids import new_id
from apps.inference.types import EmbedResult
from apps.nlp.services import heads
from apps.nlp.services.classifiers import head_fit
from apps.nlp.services.heads import vectors_of
from apps.translation.markup import box
from apps.translation.types import Call
from tests.boxes import boxes_running


class Stop:
    """A check that lets so many steps pass."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def __call__(self) -> None:
        if self.left == 0:
            raise Cancelled
        self.left -= 1


@pytest.mark.parametrize("steps", [0, 1, 7])
def test_a_cancelled_training_fits_nothing_more(monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    fitted: list[int] = []
    fit = LogisticRegression.fit

    def counting(self: Any, rows: Any, labels: Any) -> Any:
        fitted.append(len(rows))
        return fit(self, rows, labels)

    monkeypatch.setattr(LogisticRegression, "fit", counting)
    vectors = np.random.default_rng(0).normal(size=(20, 8))
    with pytest.raises(Cancelled):
        head_fit(vectors, ["a", "b"] * 10, check=Stop(steps))
    assert len(fitted) == steps


@pytest.mark.parametrize("steps", [0, 1, 3])
def test_a_cancelled_training_reads_no_further_examples(monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    asked: list[int] = []

    def embed(texts: list[str], **rest: Any) -> EmbedResult:
        asked.append(len(texts))
        return EmbedResult(np.zeros((len(texts), 384), dtype=np.float32))

    monkeypatch.setattr(heads, "embed_texts", embed)
    with pytest.raises(Cancelled):
        vectors_of(Call(new_id(), "batch"), ["text"] * 2000, check=Stop(steps))
    assert len(asked) == steps


def test_a_cancelled_reading_of_a_document_ends_its_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    real = box.subprocess.Popen
    started: list[Any] = []

    def sleeping(command: list[str], **options: Any) -> Any:
        started.append(real([sys.executable, "-c", "import time; time.sleep(600)"], **options))
        return started[0]

    monkeypatch.setattr(box.subprocess, "Popen", sleeping)
    with pytest.raises(Cancelled):
        box.BoxedDocument(str(tmp_path / "file"), "txt", check=Stop(0))
    assert started[0].poll() is not None
    assert boxes_running() == set()
