"""What py3langid's model finds in many texts at once.

The library walks its automaton byte by byte and scores text by text. The same model is read here with all places of all
texts side by side: a step of the walk is one look-up for hundreds of them.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

# Bytes of a text that one lane walks. Shorter: more steps are walked twice; longer: fewer lanes at once.
_LANE = 32


class LanguageWalk:
    """Classifies texts as the library's identifier with `norm_probs` does, to its own rounding."""

    def __init__(self, identifier: Any) -> None:
        self._next = np.asarray(identifier.tk_nextmove)
        self._row = np.asarray(identifier.tk_row).astype(np.int32) << 8
        self._feature = np.asarray(identifier.tk_output, dtype=np.int32)
        self._table = identifier.nb_ptc
        self._prior = np.asarray(identifier.nb_pc, dtype=np.float32)
        # A language in two scripts has two columns: both count for its first.
        self.languages = tuple(dict.fromkeys(identifier.nb_classes))
        codes = list(identifier.nb_classes)
        self._columns = [codes.index(code) for code in self.languages]
        self._twins = [(place, codes.index(code)) for place, code in enumerate(codes) if codes.index(code) < place]
        self._depth = self._longest()

    def probabilities(self, texts: Sequence[str]) -> Any:
        """Return float32 (n, languages), rows that sum to 1; even ones for texts without a known feature."""
        encoded = [_encoded(text) for text in texts]
        ends, features, counts = self._features(encoded)
        # Of the table, which is large, what these texts have.
        present, rows = np.unique(features, return_inverse=True)
        table, weights = self._table[present].astype(np.float32), np.log1p(counts)
        scores = np.zeros((len(texts), len(self._prior)), dtype=np.float32)
        for index, (begin, end) in enumerate(pairwise(ends)):
            if begin < end:
                # Not by a matrix product: that would wake threads for a few microseconds of work.
                scores[index] = np.einsum("i,ij->j", weights[begin:end], table[rows[begin:end]]) + self._prior
        scores /= np.sqrt([[max(1, len(one))] for one in encoded])
        shares = np.exp(scores - scores.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        for twin, column in self._twins:
            shares[:, column] += shares[:, twin]
        return shares[:, self._columns]

    def _features(self, encoded: Sequence[bytes]) -> tuple[Any, Any, Any]:
        """Return int (texts + 1,) where the features of each text end, int (n,) features, float32 (n,) how often each is."""
        lengths = np.array([len(one) for one in encoded], dtype=np.int64)
        lanes = -(-lengths // _LANE)
        text_of = np.repeat(np.arange(len(encoded)), lanes)
        within = (np.arange(len(text_of)) - np.repeat(np.cumsum(lanes) - lanes, lanes)) * _LANE
        places, features = self._walk(encoded, text_of, within, lengths)
        found, counts = np.unique(text_of[places] * len(self._table) + features, return_counts=True)
        ends = np.searchsorted(found, np.arange(len(encoded) + 1) * len(self._table))
        return ends, found % len(self._table), counts.astype(np.float32)

    def _walk(self, encoded: Sequence[bytes], text_of: Any, within: Any, lengths: Any) -> tuple[Any, Any]:
        """Return int (n,) lane and int (n,) feature of everything that is found.

        The state after a byte depends on the last bytes alone, as many as the longest feature has: a lane begins so many
        bytes before its own.
        """
        letters = np.frombuffer(bytes(self._depth) + b"".join(encoded) + bytes(_LANE), dtype=np.uint8)
        begins = (np.cumsum(lengths) - lengths)[text_of] + within
        state = np.zeros(len(text_of), dtype=np.int32)
        for step in range(self._depth):
            state = self._next[self._row[state] + letters[begins + step]]
            state = np.where(within + step >= self._depth, state, 0)
        begins, left = begins + self._depth, lengths[text_of] - within
        found = np.empty((_LANE, len(text_of)), dtype=np.int32)
        for step in range(_LANE):
            state = self._next[self._row[state] + letters[begins + step]]
            found[step] = np.where(step < left, self._feature[state], -1)
        steps, places = np.nonzero(found >= 0)
        return places, found[steps, places]

    def _longest(self) -> int:
        """Return the bytes of the longest feature: how many steps lead from the start to the farthest state."""
        rows = self._next.reshape(-1, 256)
        seen = np.zeros(len(self._row), dtype=bool)
        reached, depth = np.array([0]), -1
        while len(reached):
            seen[reached] = True
            following = np.unique(rows[self._row[reached] >> 8])
            reached, depth = following[~seen[following]], depth + 1
        return depth


def _encoded(text: str) -> bytes:
    """Return the bytes that the model was made for: composed characters, and no text in capitals alone."""
    return unicodedata.normalize("NFC", text.lower() if text.isupper() else text).encode("utf-8", "surrogatepass")
