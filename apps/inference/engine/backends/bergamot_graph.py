"""The arithmetic of Bergamot's tiny models as a compiled graph: see bergamot_model.py for what is computed.

A sentence is some sixty small products and sums for each word that is written. Called from Python they cost more than they
compute, and hold the interpreter's lock, so that two threads were hardly faster than one. TorchScript runs the whole loop
without Python. Its successors compile ahead for given shapes, or need a C++ compiler where the product is installed.

This module imports torch, which takes a second: import it where a model is loaded.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import Module, functional

# What is produced may be this many times as long as what is read, as in the models' own configuration.
_LENGTH_FACTOR = 2.5
_EPSILON = 1e-9
_BARRED = -1e9


def _packs(dtype: torch.dtype) -> bool:
    """Return whether weights can lie as the processor multiplies them; torch lays them out anew for each product."""
    return dtype == torch.bfloat16 and torch.backends.mkldnn.is_available()


class Linear(Module):
    """x -> float32 x @ W.T + b, for one or more matrices that read the same input.

    `weight` (out, in) has whole numbers of 8 bits, `scale` (out,) what they are multiplied with.
    """

    def __init__(self, weight: Tensor, scale: Tensor, bias: Tensor, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype, self.exact, self.packed = dtype, dtype == torch.float32, _packs(dtype)
        self.scale, self.bias = scale, bias
        self.weight = weight * scale[:, None] if self.exact else weight.to(dtype)
        if self.packed:
            self.weight = torch.ops.mkldnn._reorder_linear_weight(self.weight, None)

    def forward(self, x: Tensor) -> Tensor:
        if self.exact:
            return functional.linear(x, self.weight, self.bias)
        if self.packed:
            y = torch.ops.mkldnn._linear_pointwise(x.to(self.dtype), self.weight, None, "none", [], "")
        else:
            y = functional.linear(x.to(self.dtype), self.weight)
        return torch.addcmul(self.bias, y.float(), self.scale)


class Norm(Module):
    """Layer normalisation over the last dimension."""

    def __init__(self, scale: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.scale, self.bias, self.epsilon = scale, bias, _EPSILON

    def forward(self, x: Tensor) -> Tensor:
        return functional.layer_norm(x, self.bias.shape, self.scale, self.bias, self.epsilon)


class FeedForward(Module):
    """Two products with what was negative between them left out, the sum with the input, normalised."""

    def __init__(self, inner: Linear, outer: Linear, norm: Norm) -> None:
        super().__init__()
        self.inner, self.outer, self.norm = inner, outer, norm

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.norm(self.outer(self.inner(x).relu_()).add_(x))
        return out


class Attention(Module):
    """What is common to both kinds: (n, heads, l, d), (n, heads, d, m), (n, heads, m, d) -> (n, l, heads * d).

    Products by hand: twice as fast here as torch's fused attention, which is made for long rows.
    """

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.heads = heads

    def split(self, x: Tensor, parts: int) -> Tensor:
        """(n, l, parts * dim) -> (parts, n, heads, l, d)."""
        return x.view(x.size(0), x.size(1), parts, self.heads, -1).permute(2, 0, 3, 1, 4)

    def forward(self, query: Tensor, keys: Tensor, values: Tensor, bias: Tensor) -> Tensor:
        weights = (query @ keys).mul_(query.size(3) ** -0.5).add_(bias).softmax(-1)
        return (weights @ values).transpose(1, 2).flatten(2)


class EncoderLayer(Module):
    """Self-attention and feed-forward."""

    def __init__(self, heads: int, qkv: Linear, out: Linear, norm: Norm, feed_forward: FeedForward) -> None:
        super().__init__()
        self.attention, self.qkv, self.out, self.norm = Attention(heads), qkv, out, norm
        self.feed_forward = feed_forward

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """(n, l, dim), (n, 1, 1, l) -> (n, l, dim)."""
        parts = self.attention.split(self.qkv(x), 3)
        mixed = self.attention(parts[0], parts[1].transpose(2, 3), parts[2], bias)
        out: Tensor = self.feed_forward(self.norm(self.out(mixed).add_(x)))
        return out


class Context(Module):
    """What was read, as one layer of the decoder attends to it."""

    def __init__(self, heads: int, keys_values: Linear) -> None:
        super().__init__()
        self.attention, self.keys_values = Attention(heads), keys_values

    def forward(self, memory: Tensor) -> tuple[Tensor, Tensor]:
        """(n, m, dim) -> keys (n, heads, d, m), values (n, heads, m, d)."""
        parts = self.attention.split(self.keys_values(memory), 2)
        return parts[0].transpose(2, 3).contiguous(), parts[1].contiguous()


class DecoderLayer(Module):
    """A simpler simple recurrent unit, attention to what was read, feed-forward."""

    def __init__(
        self,
        heads: int,
        rnn: Linear,
        rnn_norm: Norm,
        query: Linear,
        out: Linear,
        norm: Norm,
        feed_forward: FeedForward,
    ) -> None:
        super().__init__()
        self.attention, self.rnn, self.rnn_norm = Attention(heads), rnn, rnn_norm
        self.query, self.out, self.norm, self.feed_forward = query, out, norm, feed_forward

    def forward(self, x: Tensor, state: Tensor, keys: Tensor, values: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        """x and state (n, dim) -> the next of both."""
        parts = self.rnn(x).chunk(2, 1)
        state = torch.lerp(parts[1], state, parts[0].sigmoid())
        x = self.rnn_norm(state.relu().add_(x))
        mixed = self.attention(self.attention.split(self.query(x).unsqueeze(1), 1)[0], keys, values, bias)
        return self.feed_forward(self.norm(self.out(mixed[:, 0]).add_(x))), state


# The next position; words (w,), their rows of the output layer, its bias (w,) and what was written (n, longest); of the
# sentences that are not finished: the last words (m, dim), two biases, limits (m,) and places among all (m,); the
# decoder's states; what was read. TorchScript knows tuples.
State = tuple[
    int,
    tuple[Tensor, Tensor, Tensor, Tensor],
    tuple[Tensor, Tensor, Tensor, Tensor, Tensor],
    list[Tensor],
    list[tuple[Tensor, Tensor]],
]


class Translation(Module):
    """One direction. `table` (words, dim), in 8 bits and multiplied with `scale`, is embeddings and output layer alike."""

    def __init__(
        self,
        encoder: list[EncoderLayer],
        contexts: list[Context],
        decoder: list[DecoderLayer],
        table: Tensor,
        scale: float,
        out_bias: Tensor,
        positions: Tensor,
        dtype: torch.dtype,
    ) -> None:
        super().__init__()
        self.encoder, self.decoder = torch.nn.ModuleList(encoder), torch.nn.ModuleList(decoder)
        self.context_layers = torch.nn.ModuleList(contexts)
        self.table, self.scale, self.out_bias, self.positions = table, scale, out_bias, positions
        self.dtype, self.exact, self.packed = dtype, dtype == torch.float32, _packs(dtype)
        # TorchScript sees what hangs on a module, and no names of this file.
        self.barred, self.length_factor = _BARRED, _LENGTH_FACTOR

    def embed(self, ids: Tensor) -> Tensor:
        return functional.embedding(ids, self.table).float().mul_(self.scale * self.table.size(1) ** 0.5)

    def encode(self, ids: Tensor, bias: Tensor) -> Tensor:
        """(n, l), (n, 1, 1, l) -> (n, l, dim)."""
        x = self.embed(ids).add_(self.positions[: ids.size(1)])
        for layer in self.encoder:
            x = layer(x, bias)
        return x

    def contexts(self, memory: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Return keys and values of what was read, for each layer of the decoder."""
        found: list[tuple[Tensor, Tensor]] = []
        for layer in self.context_layers:
            found.append(layer(memory))
        return found

    def step(self, x: Tensor, states: list[Tensor], contexts: list[tuple[Tensor, Tensor]], bias: Tensor) -> Tensor:
        """Compute one word for each sentence; changes `states`."""
        for index, layer in enumerate(self.decoder):
            x, states[index] = layer(x, states[index], contexts[index][0], contexts[index][1], bias)
        return x

    def output(self, words: Tensor) -> Tensor:
        """Return the rows of the output layer that `words` need, as `scores` reads them."""
        rows = self.table.index_select(0, words)
        if self.exact:
            return rows.float().mul_(self.scale)
        rows = rows.to(self.dtype)
        return torch.ops.mkldnn._reorder_linear_weight(rows, None) if self.packed else rows

    def scores(self, x: Tensor, output: Tensor, bias: Tensor) -> Tensor:
        if self.exact:
            return functional.linear(x, output, bias)
        if self.packed:
            y = torch.ops.mkldnn._linear_pointwise(x.to(self.dtype), output, None, "none", [], "")
        else:
            y = functional.linear(x.to(self.dtype), output)
        return y.float().mul_(self.scale).add_(bias)

    def forward(self, ids: Tensor, mask: Tensor, words: Tensor, allowed: Tensor) -> State:
        """Read the sentences; return where `advance` begins.

        ids (n, l) with padding where mask (n, l) is false; words (w,), the sorted ids that the batch may produce;
        allowed (n, w), which of them each sentence may.
        """
        # Added to scores: nothing where a word counts, as good as minus infinity where it does not.
        bias = torch.where(mask, 0.0, self.barred)[:, None, None, :]
        barred = torch.where(allowed, 0.0, self.barred)
        memory = self.encode(ids, bias)
        contexts = self.contexts(memory)
        limits = (mask.sum(1) * self.length_factor).long() + 1
        steps = min(self.positions.size(0) - 1, int(limits.max()))
        active = torch.arange(ids.size(0))
        found = torch.zeros(ids.size(0), steps, dtype=torch.long)
        x = torch.zeros_like(memory[:, 0])
        states = [torch.zeros_like(x) for _ in contexts]
        fixed = (words, self.output(words), self.out_bias[words], found)
        return 0, fixed, (x, bias, barred, limits, active), states, contexts

    @torch.jit.export
    def advance(self, state: State, steps: int) -> State:
        """Write the next words, at most `steps`; nothing is left to do when `active`, in the third part, is empty.

        Greedy translations are in the last of the second part: int64 (n, longest), 0 after the end of each.
        """
        position, fixed, moving, states, contexts = state
        words, output, out_bias, found = fixed
        x, bias, barred, limits, active = moving
        end = min(found.size(1), position + steps)
        while position < end and active.size(0) > 0:
            x = self.step(x + self.positions[position], states, contexts, bias)
            chosen = words[self.scores(x, output, out_bias).add_(barred).argmax(1)]
            goes_on = (chosen != 0) & (limits > position)
            if int(goes_on.sum()) < chosen.size(0):
                # Finished sentences leave the batch.
                kept = goes_on.nonzero()[:, 0]
                active, chosen, bias, barred, limits = (
                    active[kept],
                    chosen[kept],
                    bias[kept],
                    barred[kept],
                    limits[kept],
                )
                states = [one[kept] for one in states]
                contexts = [(keys[kept], values[kept]) for keys, values in contexts]
            found[active, position] = chosen
            x = self.embed(chosen)
            position += 1
        if position == found.size(1):
            active = active[:0]
        return position, fixed, (x, bias, barred, limits, active), states, contexts
