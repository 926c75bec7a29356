"""Training of the heads that come with the product."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from django.conf import settings

from apps.inference.engine.backends.sentence_head import HEADS
from apps.inference.engine.head_training import Examples
from apps.inference.engine.head_training import head_train as engine_head_train
from apps.inference.engine.types import FloatArray
from apps.inference.engine.weights import weights_prepare
from apps.inference.services.models import catalogue


def head_train(
    *,
    model: str,
    train: tuple[Sequence[str], FloatArray],
    dev: tuple[Sequence[str], FloatArray],
    seed: int,
    progress: Callable[[str, int, int], None],
) -> tuple[Path, str]:
    """Train the head of the catalogue's classifier `model` anew; returns its file and the file's sha256.

    `train` and `dev` are texts and float32 (n, labels) targets. Effects: overwrites the head's file, whose checksum then
    has to go into the catalogue. Takes a minute, in this process.
    """
    spec = catalogue().get(model)
    path = HEADS / f"{spec.options['head']}.safetensors"
    weights = weights_prepare(spec, settings.DATA_DIR)
    sha256 = engine_head_train(spec, weights, Examples(*train), Examples(*dev), path, seed=seed, progress=progress)
    return path, sha256
