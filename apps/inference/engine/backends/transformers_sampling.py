"""Choosing the next token from logits, in the order and with the meaning that transformers' `generate` gives them."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

from apps.inference.engine.types import GenerateRequest


class Sampler:
    """Draws one token for each choice of a request; with a seed the same request draws the same tokens.

    Penalties first: repetition over prompt and answer (Keskar et al., CTRL, 2019), presence and frequency over the
    answer alone (OpenAI's definition). Then temperature, top_k, top_p, min_p.
    """

    def __init__(self, torch: Any, request: GenerateRequest, prompt: Sequence[int], device: Any) -> None:
        self._torch, self._request = torch, request
        self._prompt = torch.tensor(list(prompt), device=device)
        self._generator = torch.Generator(device=device)
        self._generator.manual_seed(secrets.randbits(63) if request.seed is None else request.seed & (2**63 - 1))

    def choose(self, logits: Any, answers: Sequence[Sequence[int]]) -> Any:
        """Return token ids (n,) for float32 logits (n, vocabulary); `answers` are the tokens of each choice so far."""
        logits = self.penalised(logits, answers)
        if self._request.temperature <= 0:
            return logits.argmax(-1)
        probabilities = self._kept(logits / self._request.temperature).softmax(-1)
        return self._torch.multinomial(probabilities, 1, generator=self._generator)[:, 0]

    def penalised(self, logits: Any, answers: Sequence[Sequence[int]]) -> Any:
        """Return the logits with the request's penalties."""
        request, torch = self._request, self._torch
        if request.repetition_penalty == 1 and not request.presence_penalty and not request.frequency_penalty:
            return logits
        logits = logits.clone()
        for row, answer in zip(logits, answers, strict=True):
            said = torch.tensor(list(answer), device=row.device, dtype=torch.long)
            if request.repetition_penalty != 1:
                seen = torch.cat([self._prompt, said]).unique()
                values = row[seen]
                factor = request.repetition_penalty
                row[seen] = torch.where(values > 0, values / factor, values * factor)
            if len(said):
                tokens, counts = said.unique(return_counts=True)
                row[tokens] -= request.presence_penalty + request.frequency_penalty * counts
        return logits

    def _kept(self, logits: Any) -> Any:
        """Bar what top_k, top_p and min_p leave out; the likeliest token always stays."""
        request, torch = self._request, self._torch
        barred = float("-inf")
        if 0 < request.top_k < logits.shape[-1]:
            least = logits.topk(request.top_k).values[:, -1:]
            logits = logits.masked_fill(logits < least, barred)
        if request.top_p < 1:
            ordered, places = logits.sort(descending=True)
            mass = ordered.softmax(-1).cumsum(-1)
            # The token that crosses the limit belongs to the kept ones.
            beyond = mass - ordered.softmax(-1) >= request.top_p
            beyond[:, 0] = False
            logits = logits.masked_fill(beyond.scatter(1, places, beyond), barred)
        if request.min_p > 0:
            probabilities = logits.softmax(-1)
            least = probabilities.max(-1, keepdim=True).values * request.min_p
            logits = logits.masked_fill(probabilities < least, barred)
        return torch.as_tensor(logits)
