"""One generation with a transformers model: prefill in parts, tokens one by one, text as it becomes certain."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from apps.inference.engine.backends.transformers_sampling import Sampler
from apps.inference.engine.errors import Unsupported
from apps.inference.engine.textstream import TextStream
from apps.inference.engine.types import FinishReason, GenerateRequest, Piece, TokenLogprob

# SentencePiece's mark for a space.
_SPACE = "▁"


class Stopped(Exception):
    """The caller has cancelled."""


class Decoding:
    """Computes the `n` choices of a request as one batch; `check` is called before each forward pass and may raise."""

    def __init__(
        self,
        torch: Any,
        model: Any,
        tokenizer: Any,
        request: GenerateRequest,
        prompt: Sequence[int],
        *,
        check: Callable[[], None],
        chunk: int,
        last_only: bool,
    ) -> None:
        self.torch, self.model, self.tokenizer = torch, model, tokenizer
        self.request, self.prompt, self.check = request, list(prompt), check
        self._chunk = chunk
        # Without this a model multiplies every position of the prompt with the whole vocabulary.
        self._extra = {"logits_to_keep": 1} if last_only else {}
        self.ends = _end_ids(model, tokenizer)
        self.sampler = Sampler(torch, request, prompt, model.device)
        self.counts = [0] * request.n
        self.reasons: list[FinishReason] = ["length"] * request.n
        self._texts = [self.text_stream() for _ in range(request.n)]
        self._answers: list[list[int]] = [[] for _ in range(request.n)]
        # Tokens whose text is held back, with their log-probabilities.
        self._held: list[tuple[int, list[TokenLogprob]]] = [(0, []) for _ in range(request.n)]

    def text_stream(self) -> TextStream:
        """Return a new detokeniser with the request's stop strings."""
        return TextStream(self.decode, self.request.stop)

    def decode(self, ids: list[int]) -> str:
        """Return the text of token ids, without special tokens."""
        text: str = self.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text

    def pieces(self, max_tokens: int) -> Iterator[Piece]:
        """Yield the choices' text, at most `max_tokens` tokens each. Fills `counts` and `reasons`."""
        torch = self.torch
        logits, cache = self._prefill()
        active = list(range(self.request.n))
        if len(active) > 1:
            cache.batch_repeat_interleave(len(active))
            logits = logits.repeat_interleave(len(active), dim=0)
        for step in range(1, max_tokens + 1):
            chosen = self.sampler.choose(logits, [self._answers[index] for index in active])
            logprobs = self._logprobs(logits, chosen)
            keep = []
            for row, (index, token) in enumerate(zip(active, chosen.tolist(), strict=True)):
                yield from self._take(index, token, logprobs[row] if logprobs else None, last=step == max_tokens)
                if self.reasons[index] == "length" and step < max_tokens:
                    keep.append(row)
            if not keep:
                return
            if len(keep) < len(active):
                kept = torch.tensor(keep, device=chosen.device)
                active, chosen = [active[row] for row in keep], chosen[kept]
                cache.batch_select_indices(kept)
            logits = self._forward(chosen[:, None], cache)

    # -- the model ---------------------------------------------------------------------------------------------------
    def _prefill(self) -> tuple[Any, Any]:
        from transformers import DynamicCache

        cache = DynamicCache(config=self.model.config)
        logits = None
        # In parts, so that a long prompt can be cancelled.
        for begin in range(0, len(self.prompt), self._chunk):
            part = self.torch.tensor([self.prompt[begin : begin + self._chunk]], device=self.model.device)
            logits = self._forward(part, cache)
        return logits, cache

    def _forward(self, ids: Any, cache: Any) -> Any:
        """Return the float32 logits (n, vocabulary) after the last of `ids` (n, length); the cache grows by them."""
        self.check()
        output = self.model(input_ids=ids, past_key_values=cache, use_cache=True, **self._extra)
        return output.logits[:, -1].float()

    # -- text --------------------------------------------------------------------------------------------------------
    def _take(self, index: int, token: int, logprob: TokenLogprob | None, *, last: bool) -> Iterator[Piece]:
        """Add a token to a choice and yield what text became certain; sets the reason when the choice ends."""
        text = ""
        tokens, logprobs = self._held[index]
        if token in self.ends:
            self.reasons[index] = "stop"
        else:
            self._answers[index].append(token)
            self.counts[index] += 1
            tokens += 1
            logprobs = [*logprobs, logprob] if logprob is not None else logprobs
            text = self._texts[index].push([token])
            if self._texts[index].stopped:
                self.reasons[index] = "stop"
        if self.reasons[index] == "stop" or last:
            text += self._texts[index].finish()
        elif not text:
            self._held[index] = (tokens, logprobs)
            return
        self._held[index] = (0, [])
        if text or tokens:
            yield Piece(text, tokens, index, tuple(logprobs))

    def _logprobs(self, logits: Any, chosen: Any) -> list[TokenLogprob] | None:
        """Return the model's own log-probabilities, before penalties and temperature."""
        wanted = self.request.logprobs
        if wanted is None:
            return None
        table = logits.log_softmax(-1)
        own = table.gather(1, chosen[:, None])[:, 0].tolist()
        best = table.topk(max(1, wanted))
        found = []
        for row, token in enumerate(chosen.tolist()):
            pairs = zip(best.indices[row].tolist(), best.values[row].tolist(), strict=True)
            top = tuple((self.token_text(other), value) for other, value in pairs) if wanted else ()
            found.append(TokenLogprob(self.token_text(token), own[row], top))
        return found

    def token_text(self, token: int) -> str:
        """Return a token's text with its leading space, which `decode` would drop."""
        piece = str(self.tokenizer.convert_ids_to_tokens(token))
        if _SPACE in piece:
            return piece.replace(_SPACE, " ")
        text: str = self.tokenizer.decode([token], clean_up_tokenization_spaces=False)
        return text


def beam_search(decoding: Decoding, transformers: Any, max_tokens: int) -> Iterator[Piece]:
    """Yield the best choices of a beam search, each as one piece at the end. Raises Unsupported for logprobs."""
    request, torch = decoding.request, decoding.torch
    if request.logprobs is not None:
        raise Unsupported("logprobs", "beam search gives no log-probabilities")

    def early(ids: Any, _scores: Any, **_: Any) -> Any:
        decoding.check()
        return torch.zeros(ids.shape[0], dtype=torch.bool, device=ids.device)

    def penalise(ids: Any, scores: Any) -> Any:
        return decoding.sampler.penalised(scores, ids[:, len(decoding.prompt) :].tolist())

    ends = sorted(decoding.ends)
    config = transformers.GenerationConfig(
        num_beams=request.beams,
        num_return_sequences=request.n,
        do_sample=False,
        max_new_tokens=max_tokens,
        eos_token_id=ends or None,
        pad_token_id=ends[0] if ends else 0,
    )
    prompt = torch.tensor([decoding.prompt], device=decoding.model.device)
    rows = decoding.model.generate(
        input_ids=prompt,
        attention_mask=torch.ones_like(prompt),
        generation_config=config,
        stopping_criteria=transformers.StoppingCriteriaList([early]),
        logits_processor=transformers.LogitsProcessorList([penalise]),
    )
    for index, row in enumerate(rows[:, prompt.shape[1] :].tolist()):
        ended = next((place for place, token in enumerate(row) if token in decoding.ends), None)
        ids = row[:ended]
        text = decoding.text_stream()
        shown = text.push(ids) + text.finish()
        decoding.counts[index] = len(ids)
        decoding.reasons[index] = "stop" if ended is not None or text.stopped else "length"
        yield Piece(shown, len(ids), index)


def _end_ids(model: Any, tokenizer: Any) -> frozenset[int]:
    """Return the tokens that end an answer, by the model's generation settings and its tokenizer."""
    found = model.generation_config.eos_token_id
    listed = found if isinstance(found, list) else [found]
    return frozenset(int(token) for token in [*listed, tokenizer.eos_token_id] if token is not None)
