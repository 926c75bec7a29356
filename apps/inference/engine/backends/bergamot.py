"""Translation by Bergamot's tiny models, sentence by sentence, the sentences of all texts in common batches.

`ModelSpec.options`: `pairs`, a list of [source, target, folder] (languages as in "en" and "pt"; "pt-BR" means "pt");
`dtype` as in transformers_common (float32 gives the text of the engine that comes with the models; bfloat16, chosen
where the processor multiplies it, gave the same text for 247 of 256 sentences and takes half the time); `max_chars`
(default 20,000): longer texts are cut on the right and flagged.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from apps.inference.engine.backends.bergamot_model import END, BergamotModel
from apps.inference.engine.backends.torch_threads import TorchThreads
from apps.inference.engine.backends.transformers_common import first_line, import_torch, pick_dtype
from apps.inference.engine.base import GiveWay, Prepared, stay
from apps.inference.engine.errors import EngineError, ModelUnavailable, Unsupported
from apps.inference.engine.sentences import sentences_split
from apps.inference.engine.types import BatchItem, EngineConfig, ModelSpec, TranslateItem

_MAX_CHARS = 20_000
# Longer sentences are cut between words: the models were trained on less.
_MAX_PIECES = 128
# More rows at a time share more words that may be produced, which costs more than it saves. 240 sentences in calls of 64 on
# two threads: 16 rows 620 sentences/s, 24 rows 440 (three batches for two threads), 32 rows 640, 48 rows 470.
_ROWS, _ROW_TOKENS = 32, 2048
# Of a long text at a time, so that others do not wait for the whole of it.
_PART_TOKENS = 1024
_SPACE = "▁"
_LETTER = re.compile(r"[^\W\d_]")


# From a pair of languages and rows, by the text and the place in it that each is of, to their translations.
_Translate = Callable[[tuple[str, str], dict[tuple[int, int], list[int]]], dict[tuple[int, int], str]]


@dataclass(frozen=True, slots=True)
class _Text:
    """A text in parts: a string stays as it is, a number stands for the translation of that row."""

    pair: tuple[str, str]
    parts: list[str | int]
    rows: list[list[int]]


class BergamotTranslator:
    """Maps TranslateItem to text. White space, lines, emoji at the ends and what has no letters stay as they are."""

    labels: tuple[str, ...] = ()
    # Some 150 ms; as many rows as two threads work on at a time.
    batch_tokens = 2048

    def __init__(self, spec: ModelSpec, path: Path, config: EngineConfig) -> None:
        self._spec, self._path, self._config = spec, path, config
        self._max_chars = int(spec.options.get("max_chars", _MAX_CHARS))
        self._pairs = {(source, target): folder for source, target, folder in spec.options.get("pairs", ())}
        self._models: dict[tuple[str, str], BergamotModel] = {}
        self._vocabularies: dict[tuple[str, str], Any] = {}
        self._threads: TorchThreads | None = None

    def load(self) -> None:
        """Load every pair and translate one sentence with each. Takes 1 s. Raises ModelUnavailable."""
        torch = import_torch(self._config)
        try:
            import sentencepiece
        except ImportError as error:
            raise ModelUnavailable(f"the package {error.name} is not installed; run `make install`") from error
        if not self._pairs:
            raise ModelUnavailable(f"{self._spec.name}: its options name no pairs of languages")
        dtype = pick_dtype(torch, self._spec, torch.device("cpu"))
        for pair, folder in self._pairs.items():
            path = self._path / folder
            self._models[pair] = BergamotModel(torch, path, dtype)
            self._vocabularies[pair] = _vocabulary(sentencepiece, path)
        self._threads = TorchThreads(torch, self._config.threads, "translate")
        # The graph is compiled in its first run, and again with what that showed.
        for _ in range(2):
            self.run(self.prepare([TranslateItem("Hello.", *pair) for pair in self._pairs]))

    def prepare(self, items: Sequence[BatchItem]) -> list[Prepared]:
        """Cut texts into sentences and tokenise. Raises Unsupported for a pair that is not among the model's."""
        return [self._prepared(item) for item in items]

    def run(self, batch: Sequence[Prepared], give_way: GiveWay = stay, /) -> list[Any]:
        """Return one translation per item."""
        return self._run(batch, lambda pair, rows: self._translate(pair, rows, give_way))

    def run_short(self, batch: Sequence[Prepared], give_way: GiveWay = stay, /) -> list[Any]:
        """Return what `run` returns, computed on one thread beside it."""
        threads = self._threads
        if threads is None:
            raise ModelUnavailable(f"{self._spec.name} is not loaded")

        def translate(pair: tuple[str, str], rows: dict[tuple[int, int], list[int]]) -> dict[tuple[int, int], str]:
            model, vocabulary = self._models[pair], self._vocabularies[pair]
            translated = threads.alone(lambda ids: model.translate(ids, give_way), list(rows.values()))
            return {place: vocabulary.decode(ids).strip() for place, ids in zip(rows, translated, strict=True)}

        return self._run(batch, translate)

    def _run(self, batch: Sequence[Prepared], translate: _Translate) -> list[Any]:
        texts: list[_Text] = [one.payload for one in batch]
        found: dict[tuple[int, int], str] = {}
        for pair in dict.fromkeys(text.pair for text in texts):
            places = [(i, j) for i, text in enumerate(texts) if text.pair == pair for j in range(len(text.rows))]
            rows = {place: texts[place[0]].rows[place[1]] for place in places}
            found |= translate(pair, rows) if rows else {}
        return [
            "".join(part if isinstance(part, str) else found[index, part] for part in text.parts)
            for index, text in enumerate(texts)
        ]

    def stop(self) -> None:
        """Let the models go."""
        if self._threads is not None:
            self._threads.stop()
        self._models, self._vocabularies = {}, {}

    # -- inside ------------------------------------------------------------------------------------------------------
    def _pair(self, item: TranslateItem) -> tuple[str, str]:
        """Return the model's pair for an item; a language that is not named is the one that fits."""
        source, target = _language(item.source), _language(item.target)
        for pair in self._pairs:
            if source in ("", pair[0]) and target in ("", pair[1]):
                return pair
        known = ", ".join(f"{one}-{other}" for one, other in self._pairs)
        parameter = "source" if source not in {pair[0] for pair in self._pairs} | {""} else "target"
        raise Unsupported(parameter, f"{self._spec.name} does not translate {source}-{target}; it knows {known}")

    def _prepared(self, item: BatchItem) -> Prepared:
        if not isinstance(item, TranslateItem):
            raise EngineError(f"{self._spec.name} takes texts with their languages")
        kept = item.text[: self._max_chars]
        if _language(item.source) and _language(item.source) == _language(item.target):
            text = _Text(next(iter(self._pairs)), [kept], [])
        else:
            text = _Text(self._pair(item), [], [])
            for sentence, space in sentences_split(kept):
                self._add(text, sentence)
                text.parts.append(space)
        size = 1 + sum(map(len, text.rows))
        parts = tuple(Prepared(1 + sum(map(len, one.rows)), one) for one in _parts(text))
        join = "".join if parts else None
        return Prepared(size, text, len(item.text) > self._max_chars, parts, join)

    def _add(self, text: _Text, sentence: str) -> None:
        """Add a sentence: what the model can read as rows, the rest as it is."""
        before, core, after = _without_symbols(sentence)
        vocabulary = self._vocabularies[text.pair]
        ids: list[int] = vocabulary.encode(core) if _LETTER.search(core) else []
        # A script that the model has not seen would come out as noise.
        if ids.count(vocabulary.unk_id()) * 2 >= len(ids):
            text.parts.append(sentence)
            return
        text.parts.append(before)
        while ids:
            cut = _cut(vocabulary, ids)
            text.parts.append(len(text.rows))
            text.rows.append([*ids[:cut], END])
            ids = ids[cut:]
            if ids and vocabulary.id_to_piece(ids[0]).startswith(_SPACE):
                text.parts.append(" ")
        text.parts.append(after)

    def _translate(
        self, pair: tuple[str, str], rows: dict[tuple[int, int], list[int]], give_way: GiveWay
    ) -> dict[tuple[int, int], str]:
        threads = self._threads
        if threads is None:
            raise ModelUnavailable(f"{self._spec.name} is not loaded")
        batches: list[list[tuple[int, int]]] = []
        # As many batches for one thread as for the other.
        rounds = -(-len(rows) // (_ROWS * threads.count))
        most = -(-len(rows) // (rounds * threads.count)) if rows else 0
        for place in sorted(rows, key=lambda place: len(rows[place])):
            width = len(rows[place])
            if batches and len(batches[-1]) < most and (len(batches[-1]) + 1) * width <= _ROW_TOKENS:
                batches[-1].append(place)
            else:
                batches.append([place])
        model, vocabulary = self._models[pair], self._vocabularies[pair]
        # The longest first, so that no thread ends with them alone.
        batches.reverse()
        results = threads.map(lambda batch: model.translate([rows[place] for place in batch], give_way), batches)
        found: dict[tuple[int, int], str] = {}
        for batch, translated in zip(batches, results, strict=True):
            found |= {place: vocabulary.decode(ids).strip() for place, ids in zip(batch, translated, strict=True)}
        return found


def _parts(text: _Text) -> list[_Text]:
    """Return a long text as several, whose translations one after the other are its own; none for a short one."""
    if sum(map(len, text.rows)) <= _PART_TOKENS:
        return []
    made, tokens = [_Text(text.pair, [], [])], 0
    for part in text.parts:
        if isinstance(part, int):
            row = text.rows[part]
            if tokens + len(row) > _PART_TOKENS:
                made.append(_Text(text.pair, [], []))
                tokens = 0
            tokens += len(row)
            made[-1].parts.append(len(made[-1].rows))
            made[-1].rows.append(row)
        else:
            made[-1].parts.append(part)
    return made


def _vocabulary(sentencepiece: Any, folder: Path) -> Any:
    try:
        (path,) = folder.glob("vocab.*.spm")
        return sentencepiece.SentencePieceProcessor(model_file=str(path))
    except (ValueError, RuntimeError, OSError) as error:
        raise ModelUnavailable(f"{folder.name} holds no vocabulary: {first_line(error)}") from error


def _language(code: str) -> str:
    """Return "pt" for "pt", "pt-BR" and "PT_br", and "" for what leaves it open."""
    bare = re.split(r"[-_]", code.strip().lower())[0]
    return "" if bare == "auto" else bare


def _is_symbol(character: str) -> bool:
    """Emoji and other signs, controls, and code points of no script."""
    return character.isspace() or unicodedata.category(character) in ("So", "Sk", "Cc", "Cf", "Co", "Cn", "Cs", "Mn")


def _without_symbols(sentence: str) -> tuple[str, str, str]:
    """Return (symbols at the beginning, the rest, symbols at the end)."""
    begin, end = 0, len(sentence)
    while begin < end and _is_symbol(sentence[begin]):
        begin += 1
    while end > begin and _is_symbol(sentence[end - 1]) and unicodedata.category(sentence[end - 1]) != "Mn":
        end -= 1
    return sentence[:begin], sentence[begin:end], sentence[end:]


def _cut(vocabulary: Any, ids: list[int]) -> int:
    """Return how many ids to take: all, or as many as fit, up to the last beginning of a word."""
    if len(ids) <= _MAX_PIECES:
        return len(ids)
    for place in range(_MAX_PIECES, _MAX_PIECES // 2, -1):
        if vocabulary.id_to_piece(ids[place]).startswith(_SPACE):
            return place
    return _MAX_PIECES
