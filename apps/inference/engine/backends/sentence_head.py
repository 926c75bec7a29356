"""A classifier that is a small head over a frozen sentence encoder.

`ModelSpec.options`: `head`, the name of a file of `apps/inference/engine/heads/`, and `head_sha256`. The head reads the
mean over the tokens of each layer of the encoder: what the last layer alone gives is made for comparing topics, and knows
less of tone (macro-F1 of sentiment on the development split, logistic regression: last layer 0.67, all layers 0.71).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from apps.inference.engine.backends.sentence_embed import RowsOf, SentenceEmbedder
from apps.inference.engine.base import Prepared
from apps.inference.engine.errors import ChecksumMismatch, ModelUnavailable
from apps.inference.engine.types import EngineConfig, ModelSpec

HEADS = Path(__file__).resolve().parents[1] / "heads"


class SentenceHead(SentenceEmbedder):
    """Maps texts to float32 logits, one per label."""

    def __init__(self, spec: ModelSpec, path: Path, config: EngineConfig) -> None:
        super().__init__(spec, path, config)
        self.labels = spec.labels
        self._head: dict[str, Any] = {}

    def load(self) -> None:
        """Load the head, which must have the catalogue's checksum, then the encoder."""
        self._head = head_read(HEADS / f"{self._spec.options['head']}.safetensors", self._spec.options["head_sha256"])
        if len(self.labels) != len(self._head["out.bias"]):
            raise ModelUnavailable(f"{self._spec.name}: the catalogue's labels are not those of the head")
        super().load()

    def _vectors(self, batch: Sequence[Prepared], rows_of: RowsOf | None) -> list[Any]:
        torch = self._torch
        with torch.inference_mode():
            return list(head_logits(torch, self._head, torch.from_numpy(self._rows(batch, rows_of))).numpy())

    def _forward(self, features: dict[str, Any]) -> Any:
        """Return the normalised mean of each layer, side by side: float32 (n, layers * dim)."""
        torch = self._torch
        states = self._model[0].auto_model(**features, output_hidden_states=True).hidden_states[1:]
        mask = features["attention_mask"].unsqueeze(-1)
        means = [(state.float() * mask).sum(1) / mask.sum(1) for state in states]
        return torch.cat([torch.nn.functional.normalize(mean, dim=1) for mean in means], dim=1)


class SentenceFeatures(SentenceHead):
    """Maps texts to the rows that heads are trained on: float32 (layers * dim,)."""

    def load(self) -> None:
        """Load the encoder alone."""
        SentenceEmbedder.load(self)

    def _vectors(self, batch: Sequence[Prepared], rows_of: RowsOf | None) -> list[Any]:
        return list(self._rows(batch, rows_of))

    def _ready(self) -> RowsOf:
        # A head that is trained again is the same to the last bit only where torch computes what it is trained on.
        return self._rows_of_torch


def head_read(path: Path, sha256: str) -> dict[str, Any]:
    """Return the tensors of a head. Raises ModelUnavailable, ChecksumMismatch."""
    from safetensors.torch import load

    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelUnavailable(f"the head {path.name} is not there") from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ChecksumMismatch(f"the head {path.name} has another sha256 than the catalogue says")
    return {name: tensor.float() for name, tensor in load(content).items()}


def head_logits(torch: Any, head: dict[str, Any], rows: Any) -> Any:
    """Return float32 (n, labels): standardise, one hidden layer of GELU, divide by the calibrated temperature."""
    hidden = (rows - head["mean"]) * head["scale"]
    hidden = torch.nn.functional.gelu(hidden @ head["hidden.weight"].T + head["hidden.bias"])
    return (hidden @ head["out.weight"].T + head["out.bias"]) / head["temperature"]
