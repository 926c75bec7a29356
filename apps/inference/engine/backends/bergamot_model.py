"""Bergamot's tiny translation models, computed for many sentences at a time.

The model is a transformer encoder, a decoder of simpler simple recurrent units, and a lexical shortlist: Kim et al.,
"From Research to Production and Back: Ludicrously Fast Neural Machine Translation", WNGT 2019. In float32 the text is
that of the engine that comes with the models, alone and in a batch.

Weights are 8-bit integers with one scale per matrix. Integers up to 256 are exact in bfloat16, and the scale is applied
to the product in float32; so bfloat16 rounds only the activations.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from apps.inference.engine.backends.bergamot_files import Integers, MarianFile, Shortlist, marian_read
from apps.inference.engine.errors import ModelUnavailable
from apps.inference.engine.types import FloatArray

END = 0
_HEADS = 8
# What is produced may be this many times as long as what is read, as in the models' own configuration.
_LENGTH_FACTOR = 2.5
_MAX_POSITIONS = 1024
_EPSILON = 1e-9


class _Linear:
    """x -> float32 x @ W.T + b, for one or more matrices that read the same input."""

    def __init__(self, torch: Any, parts: Sequence[Integers], bias: FloatArray | None, dtype: Any) -> None:
        self._linear = torch.nn.functional.linear
        self._dtype = dtype
        values = np.concatenate([part.values for part in parts]).astype(np.float32)
        scale = np.concatenate([np.full(len(part.values), part.scale, np.float32) for part in parts])
        self._exact = dtype == torch.float32
        self._weight = torch.from_numpy(values * scale[:, None] if self._exact else values).to(dtype)
        self._scale = torch.from_numpy(scale)
        self._bias = torch.from_numpy(np.zeros_like(scale) if bias is None else bias)

    def __call__(self, x: Any) -> Any:
        if self._exact:
            return self._linear(x, self._weight, self._bias)
        return self._linear(x.to(self._dtype), self._weight).float().mul_(self._scale).add_(self._bias)


class BergamotModel:
    """One direction; threads may share it. Raises ModelUnavailable for files of another kind."""

    def __init__(self, torch: Any, folder: Path, dtype: Any) -> None:
        self._torch, self._f, self._dtype = torch, torch.nn.functional, dtype
        data = marian_read(_only(folder, "model.*.bin"))
        try:
            self._embedding = data.matrices["Wemb"]
            self._out_bias = data.vectors["decoder_ff_logit_out_b"]
            self._dim = self._embedding.values.shape[1]
            self._vectors = {name: torch.from_numpy(value) for name, value in data.vectors.items()}
            self._layers = self._make_layers(data)
        except (KeyError, ValueError) as error:
            raise ModelUnavailable(f"{folder.name} holds no tiny Bergamot model: {error}") from error
        self._depth = data.depth("encoder"), data.depth("decoder")
        self._shortlist = Shortlist(_only(folder, "lex.*.bin"), len(self._embedding.values))
        self._positions = torch.from_numpy(_sinusoids(_MAX_POSITIONS, self._dim))

    def translate(self, rows: Sequence[Sequence[int]]) -> list[list[int]]:
        """Return the greedy translation of each row of token ids. Rows end with END, results do not."""
        torch = self._torch
        width = max(map(len, rows))
        ids, mask = np.zeros((len(rows), width), np.int64), np.zeros((len(rows), width), np.bool_)
        for index, row in enumerate(rows):
            ids[index, : len(row)] = row
            mask[index, : len(row)] = True
        # Added to the scores of attention: nothing for a word, as good as minus infinity for padding.
        bias = torch.from_numpy(np.where(mask, 0.0, -1e9).astype(np.float32))[:, None, None, :]
        with torch.inference_mode():
            return self._decode(rows, self._encode(ids, bias), bias)

    # -- weights -----------------------------------------------------------------------------------------------------
    def _make_layers(self, data: MarianFile) -> dict[str, _Linear]:
        plan: dict[str, tuple[list[str], list[str]]] = {}
        for layer in range(1, data.depth("encoder") + 1):
            name = f"encoder_l{layer}_"
            plan[f"{name}self_qkv"] = ([f"{name}self_W{x}" for x in "qkv"], [f"{name}self_b{x}" for x in "qkv"])
            plan[f"{name}self_o"] = ([f"{name}self_Wo"], [f"{name}self_bo"])
        for layer in range(1, data.depth("decoder") + 1):
            name = f"decoder_l{layer}_"
            plan[f"{name}context_kv"] = ([f"{name}context_W{x}" for x in "kv"], [f"{name}context_b{x}" for x in "kv"])
            plan[f"{name}context_q"] = ([f"{name}context_Wq"], [f"{name}context_bq"])
            plan[f"{name}context_o"] = ([f"{name}context_Wo"], [f"{name}context_bo"])
            plan[f"{name}rnn"] = ([f"{name}rnn_Wf", f"{name}rnn_W"], [f"{name}rnn_bf", ""])
        for part in [name.removesuffix("_ffn_W1") for name in data.matrices if name.endswith("_ffn_W1")]:
            for number in "12":
                plan[f"{part}_ffn_{number}"] = ([f"{part}_ffn_W{number}"], [f"{part}_ffn_b{number}"])
        return {name: self._linear(data, *sources) for name, sources in plan.items()}

    def _linear(self, data: MarianFile, weights: list[str], biases: list[str]) -> _Linear:
        parts = [data.matrices[name] for name in weights]
        none = np.zeros(len(parts[-1].values), np.float32)
        bias = np.concatenate([data.vectors[name] if name else none for name in biases])
        return _Linear(self._torch, parts, bias, self._dtype)

    # -- arithmetic --------------------------------------------------------------------------------------------------
    def _embed(self, ids: Any) -> Any:
        rows = self._embedding.values[ids].astype(np.float32)
        return self._torch.from_numpy(rows).mul_(self._embedding.scale * self._dim**0.5)

    def _norm(self, x: Any, name: str) -> Any:
        scale, bias = self._vectors[f"{name}_ln_scale"], self._vectors[f"{name}_ln_bias"]
        return self._f.layer_norm(x, (self._dim,), scale, bias, _EPSILON)

    def _feed_forward(self, x: Any, name: str) -> Any:
        inner = self._layers[f"{name}_1"](x).relu_()
        return self._norm(self._layers[f"{name}_2"](inner).add_(x), f"{name}_ffn")

    def _attend(self, query: Any, keys: Any, values: Any, bias: Any) -> Any:
        """(n, heads, l, d), (n, heads, d, m), (n, heads, m, d) -> (n, l, heads * d).

        Products by hand: twice as fast here as torch's fused attention, which is made for long rows.
        """
        weights = (query @ keys).mul_((self._dim // _HEADS) ** -0.5).add_(bias).softmax(-1)
        return (weights @ values).transpose(1, 2).flatten(2)

    def _heads(self, x: Any, parts: int) -> Any:
        """(n, l, parts * dim) -> parts of (n, heads, l, d)."""
        return x.view(*x.shape[:2], parts, _HEADS, -1).permute(2, 0, 3, 1, 4)

    def _encode(self, ids: Any, bias: Any) -> Any:
        x = self._embed(ids).add_(self._positions[: ids.shape[1]])
        for layer in range(1, self._depth[0] + 1):
            name = f"encoder_l{layer}_"
            query, key, value = self._heads(self._layers[f"{name}self_qkv"](x), 3)
            mixed = self._attend(query, key.transpose(2, 3), value, bias)
            x = self._norm(self._layers[f"{name}self_o"](mixed).add_(x), f"{name}self_Wo")
            x = self._feed_forward(x, f"{name}ffn")
        return x

    def _decode(self, rows: Sequence[Sequence[int]], memory: Any, bias: Any) -> list[list[int]]:
        torch = self._torch
        found: list[list[int]] = [[] for _ in rows]
        limits = [min(_MAX_POSITIONS - 1, int(_LENGTH_FACTOR * len(row)) + 1) for row in rows]
        words, output, barred = self._output(rows)
        contexts = []
        for layer in range(1, self._depth[1] + 1):
            key, value = self._heads(self._layers[f"decoder_l{layer}_context_kv"](memory), 2)
            contexts.append((key.transpose(2, 3).contiguous(), value.contiguous()))
        states = [torch.zeros(len(rows), self._dim) for _ in contexts]
        active = list(range(len(rows)))
        x = torch.zeros(len(rows), self._dim)
        for position in range(_MAX_POSITIONS):
            x = self._step(x + self._positions[position], states, contexts, bias)
            chosen = words[output(x).add_(barred).argmax(1).numpy()]
            keep = []
            for index, (row, word) in enumerate(zip(active, chosen.tolist(), strict=True)):
                if word != END and len(found[row]) < limits[row]:
                    found[row].append(word)
                    keep.append(index)
            if not keep:
                break
            if len(keep) < len(active):
                # Finished sentences leave the batch.
                kept = torch.tensor(keep)
                active = [active[index] for index in keep]
                states, bias, barred = [state[kept] for state in states], bias[kept], barred[kept]
                contexts = [(key[kept], value[kept]) for key, value in contexts]
                chosen = chosen[keep]
            x = self._embed(chosen)
        return found

    def _step(self, x: Any, states: list[Any], contexts: list[tuple[Any, Any]], bias: Any) -> Any:
        """Compute one word for each sentence; changes `states`."""
        for index, (keys, values) in enumerate(contexts):
            name = f"decoder_l{index + 1}_"
            forget, new = self._layers[f"{name}rnn"](x).split(self._dim, 1)
            forget = forget.sigmoid()
            states[index] = forget * states[index] + (1.0 - forget) * new
            x = self._norm(states[index].relu().add_(x), f"{name}rnn_ffn")
            query = self._heads(self._layers[f"{name}context_q"](x)[:, None], 1)[0]
            mixed = self._attend(query, keys, values, bias)[:, 0]
            x = self._norm(self._layers[f"{name}context_o"](mixed).add_(x), f"{name}context_Wo")
            x = self._feed_forward(x, f"{name}ffn")
        return x

    def _output(self, rows: Sequence[Sequence[int]]) -> tuple[Any, _Linear, Any]:
        """Return the words that the batch may produce, their layer, and what bars each sentence from others' words.

        Sentences keep to their own shortlists: the text does not depend on what else is in the batch.
        """
        lists = [self._shortlist.words(np.asarray(row)) for row in rows]
        words = np.unique(np.concatenate(lists))
        barred = np.full((len(rows), len(words)), -1e9, np.float32)
        for index, allowed in enumerate(lists):
            barred[index, np.searchsorted(words, allowed)] = 0.0
        part = Integers(self._embedding.values[words], self._embedding.scale)
        return words, _Linear(self._torch, [part], self._out_bias[words], self._dtype), self._torch.from_numpy(barred)


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
