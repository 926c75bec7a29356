"""Linear heads over the frozen sentence encoder: from a few examples, or trained."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from apps.inference.services import default_model, embed_texts
from apps.inference.types import LinearHead
from apps.translation.types import Call

_AT_ONCE = 256
_CACHED = 64


def vectors_of(call: Call, texts: Sequence[str], *, model: str = "", check: Callable[[], None] = lambda: None) -> Any:
    """Return float32 (n, dim) unit vectors of any number of texts, of the encoder `model` or the default one. Errors as
    `embed_texts`; `check` is called before each part and may raise to stop."""
    parts = []
    for begin in range(0, len(texts), _AT_ONCE):
        check()
        found = embed_texts(
            texts[begin : begin + _AT_ONCE],
            tenant_id=call.tenant_id,
            deadline_s=call.left_s(),
            priority=call.priority,
            model=model,
        )
        parts.append(found.vectors)
    return np.concatenate(parts) if parts else np.empty((0, default_model("embedding").dim), dtype=np.float32)


def head_probabilities(vectors: Any, head: LinearHead) -> Any:
    """Return float32 (n, labels), rows that sum to 1."""
    logits = vectors @ head.weights.T + head.bias
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)


class PrototypeHeads:
    """Heads whose label is where the mean of its phrases points; made once per set of phrases and encoder, in memory.

    Source: nearest class mean, as in Snell et al., "Prototypical Networks for Few-shot Learning", NeurIPS 2017.
    """

    def __init__(self) -> None:
        self._heads: OrderedDict[Any, LinearHead] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, call: Call, phrases: Mapping[str, Sequence[str]], *, scale: float) -> LinearHead:
        """Return the head of `phrases` (label: phrases); `scale` turns a cosine into a logit."""
        model = default_model("embedding")
        key = (model.ref, scale, tuple((label, tuple(some)) for label, some in phrases.items()))
        with self._lock:
            if key in self._heads:
                self._heads.move_to_end(key)
                return self._heads[key]
        vectors = iter(vectors_of(call, [phrase for some in phrases.values() for phrase in some]))
        means = [np.mean([next(vectors) for _ in some], axis=0) for some in phrases.values()]
        weights = np.stack([mean / np.linalg.norm(mean) for mean in means]).astype(np.float32) * np.float32(scale)
        head = LinearHead(weights, np.zeros(len(means), dtype=np.float32))
        with self._lock:
            self._heads[key] = head
            while len(self._heads) > _CACHED:
                self._heads.popitem(last=False)
        return head


prototypes = PrototypeHeads()
