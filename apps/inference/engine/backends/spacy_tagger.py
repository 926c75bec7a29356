"""Named entities by a spaCy pipeline, read as data out of an installed package.

`ModelSpec.options`: `max_chars` (default 200,000): longer texts are cut on the right and flagged.

Long texts are read in parts (windows.py), and runs without spaces in pieces: the time that a text takes is bounded by its
length, whatever it is made of. It is served in a process that can be killed (process_tagger.py), which this one is not.

Only the entity recogniser runs, with the component that feeds it where there is one: three times as fast as the whole
pipeline, with the same entities. The package's own Python is not run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from apps.inference.engine.base import GiveWay, Prepared, stay
from apps.inference.engine.errors import EngineError, ModelUnavailable
from apps.inference.engine.types import BatchItem, EngineConfig, ModelSpec, Span
from apps.inference.engine.windows import PART_TOKENS, pieces_of, spans_joined, windows_of

_MAX_CHARS = 200_000
# Texts that the pipeline reads together between two looks at who waits; 64 at once are an eighth faster.
_AT_ONCE = 16


class SpacyTagger:
    """Maps a text to its entities. `Span.score` is the precision that the model's makers measured for that label.

    spaCy's recogniser decides step by step and has no probability of a span.
    """

    labels: tuple[str, ...] = ()
    # Some 100 ms: whoever comes with one message waits for no more.
    batch_tokens = 1024

    def __init__(self, spec: ModelSpec, path: Path, config: EngineConfig) -> None:
        self._spec, self._path, self._config = spec, path, config
        self._max_chars = int(spec.options.get("max_chars", _MAX_CHARS))
        self._nlp: Any = None
        self._precision: dict[str, float] = {}

    def load(self) -> None:
        """Load the recogniser and run it once. Takes 0.4 s, and 3 s for the library. Raises ModelUnavailable."""
        try:
            import spacy.util
        except ImportError as error:
            raise ModelUnavailable(f"the package {error.name} is not installed; run `make install`") from error
        try:
            config = spacy.util.load_config(self._path / "config.cfg")
            keep = _needed(config)
            others = [name for name in config["nlp"]["pipeline"] if name not in keep]
            self._nlp = spacy.util.load_model_from_path(self._path, exclude=others)
        except Exception as error:
            raise ModelUnavailable(f"{self._spec.name} cannot be loaded: {error}") from error
        self._nlp.tokenizer = BoundedTokenizer(self._nlp.tokenizer)
        self._nlp.max_length = self._max_chars + 1
        self.labels = tuple(self._nlp.get_pipe("ner").labels)
        measured = self._nlp.meta.get("performance", {})
        overall = float(measured.get("ents_p") or 1.0)
        by_label = measured.get("ents_per_type") or {}
        self._precision = {label: float(by_label.get(label, {}).get("p", overall)) for label in self.labels}
        self.run([Prepared(1, "Ada Lovelace was born in London in 1815.")])

    def prepare(self, items: Sequence[BatchItem]) -> list[Prepared]:
        """Cut texts to the limit and into parts; the tokenizer belongs to the model's thread."""
        return [self._prepared(item) for item in items]

    def run(self, batch: Sequence[Prepared], give_way: GiveWay = stay, /) -> list[Any]:
        """Return a tuple of Span per text."""
        # Without a zone of its own the vocabulary would keep every word that was ever seen.
        with self._nlp.memory_zone():
            found = []
            for document in self._nlp.pipe([one.payload for one in batch], batch_size=_AT_ONCE):
                found.append(tuple(self._span(entity) for entity in document.ents))
                give_way()
            return found

    def stop(self) -> None:
        """Let the model go."""
        self._nlp = None

    def _prepared(self, item: BatchItem) -> Prepared:
        if not isinstance(item, str):
            raise EngineError(f"{self._spec.name} takes texts")
        text = item[: self._max_chars]
        return prepared_in_parts(text, lambda part: part, truncated=len(item) > self._max_chars)

    def _span(self, entity: Any) -> Span:
        label = entity.label_
        return Span(entity.start_char, entity.end_char, label, self._precision.get(label, 1.0), entity.text)


class BoundedTokenizer:
    """A tokenizer of spaCy that sees no long run without a space.

    spaCy takes signs off both ends of a run one by one and looks at the rest each time. A long run is given to it in pieces,
    whose tokens make one document: places in the text stay what they were.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer

    def __call__(self, text: str) -> Any:
        """Return the document of `text`."""
        pieces = pieces_of(text)
        if pieces is None:
            return self._tokenizer(text)
        from spacy.tokens import Doc

        words: list[str] = []
        spaces: list[bool] = []
        for piece in pieces:
            for token in self._tokenizer(piece):
                words.append(token.text)
                spaces.append(bool(token.whitespace_))
        return Doc(self._tokenizer.vocab, words=words, spaces=spaces)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tokenizer, name)


def prepared_in_parts(
    text: str, payload: Callable[[str], Any], *, truncated: bool, cover: bool = False, times: int = 1
) -> Prepared:
    """Return `text` ready for a tagger: `payload` of it, or of each of its parts.

    `times` is how much more than usual a token costs. `cover` is that of `spans_joined`.
    """
    windows = windows_of(text, PART_TOKENS // times)
    sizes = [1 + one.tokens * times for one in windows]
    if len(windows) == 1:
        return Prepared(sizes[0], payload(text), truncated)
    read = [text[one.read_begin : one.read_end] for one in windows]
    parts = tuple(Prepared(size, payload(part)) for size, part in zip(sizes, read, strict=True))

    def join(found: Sequence[Any]) -> tuple[Span, ...]:
        return spans_joined(text, windows, found, cover=cover)

    return Prepared(sum(one.size for one in parts), None, truncated, parts, join)


def _needed(config: Any) -> set[str]:
    """Return the recogniser and the components whose output it listens to."""
    model = config["components"]["ner"].get("model") or {}
    source = model.get("tok2vec") or {}
    if "Listener" not in str(source.get("@architectures", "")):
        return {"ner"}
    upstream = source.get("upstream", "*")
    shared = {"tok2vec", "transformer"} if upstream == "*" else {str(upstream)}
    return {"ner"} | (shared & set(config["nlp"]["pipeline"]))
