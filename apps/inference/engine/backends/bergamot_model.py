"""Bergamot's tiny translation models, computed for many sentences at a time.

The model is a transformer encoder, a decoder of simpler simple recurrent units, and a lexical shortlist: Kim et al.,
"From Research to Production and Back: Ludicrously Fast Neural Machine Translation", WNGT 2019. In float32 the text is
that of the engine that comes with the models, alone and in a batch.

Weights are 8-bit integers with one scale per matrix. Integers up to 256 are exact in bfloat16, and the scale is applied
to the product in float32; so bfloat16 rounds only the activations.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from apps.inference.engine.backends.bergamot_files import Integers, Shortlist, marian_read
from apps.inference.engine.base import GiveWay, stay
from apps.inference.engine.errors import ModelUnavailable
from apps.inference.engine.types import FloatArray

END = 0
_HEADS = 8
_MAX_POSITIONS = 1024
# Words of each sentence that are written before others are given way; some 15 ms for 32 sentences.
_STEPS = 4


class BergamotModel:
    """One direction; threads may share it. Raises ModelUnavailable for files of another kind."""

    def __init__(self, torch: Any, folder: Path, dtype: Any) -> None:
        # Takes torch with it, which is known here only once a model is loaded.
        from apps.inference.engine.backends import bergamot_graph

        self._torch, self._graph, self._dtype = torch, bergamot_graph, dtype
        self._data = marian_read(_only(folder, "model.*.bin"))
        try:
            table = self._data.matrices["Wemb"]
            made = self._make(table)
        except (KeyError, ValueError) as error:
            raise ModelUnavailable(f"{folder.name} holds no tiny Bergamot model: {error}") from error
        with warnings.catch_warnings():
            # TorchScript gets no new features; see bergamot_graph.py for why it is used.
            warnings.simplefilter("ignore", DeprecationWarning)
            self._translation = torch.jit.script(made.eval())
        self._shortlist = Shortlist(_only(folder, "lex.*.bin"), len(table.values))

    def translate(self, rows: Sequence[Sequence[int]], give_way: GiveWay = stay) -> list[list[int]]:
        """Return the greedy translation of each row of token ids. Rows end with END, results do not.

        Sentences keep to their own shortlists: the text does not depend on what else is in the batch.
        """
        torch = self._torch
        width = max(map(len, rows))
        ids, mask = np.zeros((len(rows), width), np.int64), np.zeros((len(rows), width), np.bool_)
        for index, row in enumerate(rows):
            ids[index, : len(row)] = row
            mask[index, : len(row)] = True
        lists = [self._shortlist.words(np.asarray(row)) for row in rows]
        words = np.unique(np.concatenate(lists))
        allowed = np.zeros((len(rows), len(words)), np.bool_)
        for index, part in enumerate(lists):
            allowed[index, np.searchsorted(words, part)] = True
        with torch.inference_mode():
            state = self._translation(*map(torch.from_numpy, (ids, mask, words, allowed)))
            while len(state[2][-1]):
                give_way()
                state = self._translation.advance(state, _STEPS)
        found = state[1][-1]
        return [[word for word in row if word != END] for row in found.tolist()]

    # -- weights -----------------------------------------------------------------------------------------------------
    def _make(self, table: Integers) -> Any:
        torch, data, graph = self._torch, self._data, self._graph
        encoder = [self._encoder_layer(f"encoder_l{layer + 1}") for layer in range(data.depth("encoder"))]
        names = [f"decoder_l{layer + 1}" for layer in range(data.depth("decoder"))]
        return graph.Translation(
            encoder,
            [self._context(name) for name in names],
            [self._decoder_layer(name) for name in names],
            torch.from_numpy(table.values.copy()),
            float(table.scale),
            torch.from_numpy(data.vectors["decoder_ff_logit_out_b"]),
            torch.from_numpy(_sinusoids(_MAX_POSITIONS, table.values.shape[1])),
            self._dtype,
        )

    def _encoder_layer(self, name: str) -> Any:
        return self._graph.EncoderLayer(
            _HEADS,
            self._linear([f"{name}_self_W{x}" for x in "qkv"], [f"{name}_self_b{x}" for x in "qkv"]),
            self._linear([f"{name}_self_Wo"], [f"{name}_self_bo"]),
            self._norm(f"{name}_self_Wo"),
            self._feed_forward(f"{name}_ffn"),
        )

    def _decoder_layer(self, name: str) -> Any:
        return self._graph.DecoderLayer(
            _HEADS,
            self._linear([f"{name}_rnn_Wf", f"{name}_rnn_W"], [f"{name}_rnn_bf", ""]),
            self._norm(f"{name}_rnn_ffn"),
            self._linear([f"{name}_context_Wq"], [f"{name}_context_bq"]),
            self._linear([f"{name}_context_Wo"], [f"{name}_context_bo"]),
            self._norm(f"{name}_context_Wo"),
            self._feed_forward(f"{name}_ffn"),
        )

    def _context(self, name: str) -> Any:
        weights, biases = ([f"{name}_context_{what}{x}" for x in "kv"] for what in "Wb")
        return self._graph.Context(_HEADS, self._linear(weights, biases))

    def _feed_forward(self, name: str) -> Any:
        inner, outer = (self._linear([f"{name}_W{number}"], [f"{name}_b{number}"]) for number in "12")
        return self._graph.FeedForward(inner, outer, self._norm(f"{name}_ffn"))

    def _norm(self, name: str) -> Any:
        vectors = (self._data.vectors[f"{name}_ln_{part}"] for part in ("scale", "bias"))
        return self._graph.Norm(*map(self._torch.from_numpy, vectors))

    def _linear(self, weights: list[str], biases: list[str]) -> Any:
        torch = self._torch
        parts = [self._data.matrices[name] for name in weights]
        none = np.zeros(len(parts[-1].values), np.float32)
        bias = np.concatenate([self._data.vectors[name] if name else none for name in biases])
        values = np.concatenate([part.values for part in parts]).astype(np.float32)
        scale = np.concatenate([np.full(len(part.values), part.scale, np.float32) for part in parts])
        return self._graph.Linear(
            torch.from_numpy(values), torch.from_numpy(scale), torch.from_numpy(bias), self._dtype
        )


def _sinusoids(count: int, dim: int) -> FloatArray:
    """Return Marian's positions (count, dim): sines, then cosines."""
    half = dim // 2
    rates = np.exp(np.arange(half) * -(np.log(10000.0) / (half - 1)))
    angles = np.arange(count)[:, None] * rates
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1).astype(np.float32)


def _only(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        raise ModelUnavailable(f"{folder.name} holds {len(found)} files {pattern}, one is expected")
    return found[0]
