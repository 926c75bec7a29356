"""Encoder-decoder models from a transformers folder (Marian, NLLB, M2M100, mBART, T5, BART): translator, text2text.

`ModelSpec.options`: those of transformers_common (automatic dtype: bfloat16 on a GPU, float32 on a CPU, whose text is
then that of the reference); `beams` (default 1, greedy); `max_new_tokens` (default 256); `prefix`, put before each text,
where {source} and {target} stand for the languages ("translate {source} to {target}: " for T5, ">>{target}<< " for
Marian models of many targets); `max_chars` (default 20,000): longer texts are cut on the right and flagged; for a
translator also `sentences` (default true: translate one sentence at a time, as these models were trained),
`pairs` (the [source, target] pairs that are taken; empty: whatever the model's tokenizer knows) and `languages` (names
for the model's codes: {"en": "eng_Latn"}).
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from apps.inference.engine.backends.transformers_common import (
    import_libraries,
    input_limit,
    load_model,
    load_tokenizer,
    pick_device,
    pick_dtype,
)
from apps.inference.engine.base import GiveWay, Prepared, stay
from apps.inference.engine.errors import EngineError, ModelUnavailable, Unsupported
from apps.inference.engine.sentences import sentences_split
from apps.inference.engine.types import BatchItem, EngineConfig, ModelSpec, TranslateItem

_MAX_CHARS = 20_000
_MAX_NEW_TOKENS = 256
# A translation is rarely longer than this many times its source, whatever the scripts; it bounds a model that loops.
_LENGTH_FACTOR, _LENGTH_MORE = 4, 16


@dataclass(slots=True)
class _Text:
    """A text in parts: a string stays as it is, a number stands for what the model makes of that row of tokens."""

    # The id of the target language's token, where the model has one.
    target: int | None
    parts: list[str | int] = field(default_factory=list)
    rows: list[list[int]] = field(default_factory=list)


class TransformersText2Text:
    """Maps a text to a text."""

    labels: tuple[str, ...] = ()

    def __init__(self, spec: ModelSpec, path: Path, config: EngineConfig) -> None:
        self._spec, self._path, self._config = spec, path, config
        options = spec.options
        self._beams = int(options.get("beams", 1))
        self._max_new_tokens = int(options.get("max_new_tokens", _MAX_NEW_TOKENS))
        self._max_chars = int(options.get("max_chars", _MAX_CHARS))
        self._prefix = str(options.get("prefix", ""))
        # The source language is a setting of the tokenizer: one thread at a time.
        self._tokenizing = threading.Lock()
        self._torch: Any = None
        self._model: Any = None
        self._tokenizer: Any = None
        self._device: Any = None
        self._limit = 0
        self._pad_id = 0

    def load(self) -> None:
        """Load the weights and run them once. Raises ModelUnavailable."""
        self._torch, transformers = import_libraries(self._config)
        self._device = pick_device(self._torch, self._spec)
        dtype = pick_dtype(self._torch, self._spec, self._device, automatic=self._device.type == "cuda")
        auto_class = transformers.AutoModelForSeq2SeqLM
        self._model = load_model(auto_class, self._spec, self._path, device=self._device, dtype=dtype)
        self._tokenizer = load_tokenizer(transformers, self._spec, self._path)
        self._limit = input_limit(self._spec, self._model.config, self._tokenizer)
        pad = self._tokenizer.pad_token_id
        self._pad_id = int(pad if pad is not None else self._model.config.pad_token_id or 0)
        self._generate([[self._model.config.eos_token_id or self._pad_id]], None, 1)

    def prepare(self, items: Sequence[BatchItem]) -> list[Prepared]:
        """Tokenise; texts longer than the model's input are cut on the right and flagged."""
        return [self._prepared(item) for item in items]

    def run(self, batch: Sequence[Prepared], give_way: GiveWay = stay, /) -> list[Any]:
        """Return one text per item. Rows of one target language share batches, shortest first."""
        texts: list[_Text] = [one.payload for one in batch]
        made: dict[tuple[int, int], str] = {}
        for target in dict.fromkeys(text.target for text in texts):
            places = [(i, j) for i, text in enumerate(texts) if text.target == target for j in range(len(text.rows))]
            for part in self._parts({place: texts[place[0]].rows[place[1]] for place in places}):
                rows = [texts[i].rows[j] for i, j in part]
                made |= dict(zip(part, self._generate(rows, target, self._budget(rows), give_way), strict=True))
        return [
            "".join(part if isinstance(part, str) else made[index, part] for part in text.parts)
            for index, text in enumerate(texts)
        ]

    def stop(self) -> None:
        """Let the weights go."""
        self._model = None

    # -- for the roles -----------------------------------------------------------------------------------------------
    def _prepared(self, item: BatchItem) -> Prepared:
        if not isinstance(item, str):
            raise EngineError(f"{self._spec.name} takes texts")
        text, cut = _Text(None), self._cut(item)
        truncated = self._add(text, self._prefix + cut, "")
        return Prepared(len(text.rows[0]), text, truncated or len(cut) < len(item))

    def _budget(self, rows: Sequence[Sequence[int]]) -> int:
        """Return how many tokens may be produced for rows of nearly one length."""
        return self._max_new_tokens

    # -- inside ------------------------------------------------------------------------------------------------------
    def _cut(self, text: str) -> str:
        return text[: self._max_chars]

    def _add(self, text: _Text, content: str, language: str) -> bool:
        """Add one row; return whether it was cut."""
        with self._tokenizing:
            if language:
                self._tokenizer.src_lang = language
            ids = self._tokenizer(content, verbose=False)["input_ids"]
            truncated = len(ids) > self._limit
            if truncated:
                ids = self._tokenizer(content, truncation=True, max_length=self._limit)["input_ids"]
        text.parts.append(len(text.rows))
        text.rows.append(list(ids))
        return truncated

    def _parts(self, rows: dict[tuple[int, int], list[int]]) -> list[list[tuple[int, int]]]:
        """Cut rows, shortest first, into batches of at most the configured tokens with padding."""
        parts: list[list[tuple[int, int]]] = []
        budget = max(1, self._config.batch_tokens // self._beams)
        for place in sorted(rows, key=lambda place: len(rows[place])):
            if parts and (len(parts[-1]) + 1) * len(rows[place]) <= budget:
                parts[-1].append(place)
            else:
                parts.append([place])
        return parts

    def _generate(
        self, rows: Sequence[Sequence[int]], target: int | None, max_new_tokens: int, give_way: GiveWay = stay
    ) -> list[str]:
        torch = self._torch

        def after_a_word(ids: Any, _: Any, **__: Any) -> Any:
            give_way()
            return torch.zeros(len(ids), dtype=torch.bool, device=ids.device)

        width = max(map(len, rows))
        ids = np.full((len(rows), width), self._pad_id, dtype=np.int64)
        mask = np.zeros((len(rows), width), dtype=np.int64)
        for index, row in enumerate(rows):
            ids[index, : len(row)] = row
            mask[index, : len(row)] = 1
        settings: dict[str, Any] = {} if target is None else {"forced_bos_token_id": target}
        with torch.inference_mode():
            made = self._model.generate(
                input_ids=torch.from_numpy(ids).to(self._device),
                attention_mask=torch.from_numpy(mask).to(self._device),
                num_beams=self._beams,
                do_sample=False,
                max_new_tokens=max_new_tokens,
                max_length=None,
                stopping_criteria=[after_a_word],
                **settings,
            )
        with self._tokenizing:
            texts: list[str] = self._tokenizer.batch_decode(made, skip_special_tokens=True)
        return [text.strip() for text in texts]


class TransformersTranslator(TransformersText2Text):
    """Maps TranslateItem to text. White space, lines and what has no letters stay as they are."""

    def load(self) -> None:
        """Load the weights and run them once. Raises ModelUnavailable."""
        super().load()
        self._names: dict[str, str] = dict(self._spec.options.get("languages", {}))
        self._pairs = [(pair[0], pair[1]) for pair in self._spec.options.get("pairs", ())]
        self._multilingual = hasattr(self._tokenizer, "src_lang")
        for code in self._names.values():
            if self._multilingual and self._language_id(code) is None:
                raise ModelUnavailable(f"{self._spec.name}: its tokenizer knows no language {code!r}")

    def _prepared(self, item: BatchItem) -> Prepared:
        if not isinstance(item, TranslateItem):
            raise EngineError(f"{self._spec.name} takes texts with their languages")
        source, target = self._languages(item)
        text = _Text(self._language_id(target) if self._multilingual else None)
        cut = self._cut(item.text)
        truncated = len(cut) < len(item.text)
        prefix = self._prefix.replace("{source}", source).replace("{target}", target)
        pairs = sentences_split(cut) if self._spec.options.get("sentences", True) else [(cut, "")]
        for sentence, space in pairs:
            if any(character.isalpha() for character in sentence):
                truncated |= self._add(text, prefix + sentence, source if self._multilingual else "")
            else:
                text.parts.append(sentence)
            text.parts.append(space)
        return Prepared(1 + sum(map(len, text.rows)), text, truncated)

    def _budget(self, rows: Sequence[Sequence[int]]) -> int:
        return min(self._max_new_tokens, _LENGTH_FACTOR * max(map(len, rows)) + _LENGTH_MORE)

    def _languages(self, item: TranslateItem) -> tuple[str, str]:
        """Return the model's codes for an item. Raises Unsupported for a pair that it does not translate."""
        source, target = item.source, item.target
        if self._pairs:
            wanted = [p for p in self._pairs if source in ("", "auto", p[0]) and target in ("", p[1])]
            if not wanted:
                known = ", ".join(f"{one}-{other}" for one, other in self._pairs)
                parameter = "target" if any(source in ("", "auto", p[0]) for p in self._pairs) else "source"
                raise Unsupported(
                    parameter, f"{self._spec.name} does not translate {source}-{target}; it knows {known}"
                )
            source, target = wanted[0]
        source, target = self._names.get(source, source), self._names.get(target, target)
        if self._multilingual:
            for parameter, code in (("source", source), ("target", target)):
                if self._language_id(code) is None:
                    raise Unsupported(parameter, f"{self._spec.name} knows no language {code!r}")
        return source, target

    def _language_id(self, code: str) -> int | None:
        """Return the id of a language's token, None for a language that the tokenizer does not know."""
        if hasattr(self._tokenizer, "get_lang_id"):
            try:
                return int(self._tokenizer.get_lang_id(code))
            except KeyError:
                return None
        found = self._tokenizer.convert_tokens_to_ids(code)
        special = code in self._tokenizer.all_special_tokens
        return int(found) if special and found != self._tokenizer.unk_token_id else None
