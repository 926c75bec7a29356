"""Named entities by a spaCy pipeline, read as data out of an installed package.

`ModelSpec.options`: `max_chars` (default 100,000): longer texts are cut on the right and flagged.

Only the entity recogniser runs, with the component that feeds it where there is one: three times as fast as the whole
pipeline, with the same entities. The package's own Python is not run.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from apps.inference.engine.base import GiveWay, Prepared, stay
from apps.inference.engine.errors import EngineError, ModelUnavailable
from apps.inference.engine.types import BatchItem, EngineConfig, ModelSpec, Span

_MAX_CHARS = 100_000
# What stands for a token when batches are made.
_CHARS_PER_TOKEN = 4
# Texts that the pipeline reads together where it may have to give way, some 30 ms; 64 at once are an eighth faster.
_AT_ONCE = 16


class SpacyTagger:
    """Maps a text to its entities. `Span.score` is the precision that the model's makers measured for that label.

    spaCy's recogniser decides step by step and has no probability of a span.
    """

    labels: tuple[str, ...] = ()

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
        self._nlp.max_length = self._max_chars + 1
        self.labels = tuple(self._nlp.get_pipe("ner").labels)
        measured = self._nlp.meta.get("performance", {})
        overall = float(measured.get("ents_p") or 1.0)
        by_label = measured.get("ents_per_type") or {}
        self._precision = {label: float(by_label.get(label, {}).get("p", overall)) for label in self.labels}
        self.run(self.prepare(["Ada Lovelace was born in London in 1815."]))

    def prepare(self, items: Sequence[BatchItem]) -> list[Prepared]:
        """Cut texts to the limit; the tokenizer belongs to the model's thread."""
        return [self._prepared(item) for item in items]

    def run(self, batch: Sequence[Prepared], give_way: GiveWay = stay, /) -> list[Any]:
        """Return a tuple of Span per text."""
        # Without a zone of its own the vocabulary would keep every word that was ever seen.
        with self._nlp.memory_zone():
            found = []
            at_once = len(batch) if give_way is stay else _AT_ONCE
            for document in self._nlp.pipe([one.payload for one in batch], batch_size=at_once):
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
        return Prepared(1 + len(text) // _CHARS_PER_TOKEN, text, len(item) > self._max_chars)

    def _span(self, entity: Any) -> Span:
        label = entity.label_
        return Span(entity.start_char, entity.end_char, label, self._precision.get(label, 1.0), entity.text)


def _needed(config: Any) -> set[str]:
    """Return the recogniser and the components whose output it listens to."""
    model = config["components"]["ner"].get("model") or {}
    source = model.get("tok2vec") or {}
    if "Listener" not in str(source.get("@architectures", "")):
        return {"ner"}
    upstream = source.get("upstream", "*")
    shared = {"tok2vec", "transformer"} if upstream == "*" else {str(upstream)}
    return {"ner"} | (shared & set(config["nlp"]["pipeline"]))
