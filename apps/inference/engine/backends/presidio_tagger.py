"""Personal data in a text, by Presidio's recognisers: patterns with checksums and context, and names in English.

`ModelSpec.options`: `languages` (two-letter codes; the first is the one of the spaCy pipeline, the others get patterns
and context words alone), `max_chars` (default 200,000).

Long texts are read in parts, as in spacy_tagger.py; what stands across an edge is read whole, in the margin of a part.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from apps.inference.engine.backends.spacy_tagger import BoundedTokenizer, prepared_in_parts
from apps.inference.engine.base import GiveWay, Prepared, stay
from apps.inference.engine.errors import EngineError, ModelUnavailable
from apps.inference.engine.types import BatchItem, EngineConfig, ModelSpec, Span

_MAX_CHARS = 200_000
# Texts that the pipeline reads together between two looks at who waits; 64 at once are a fifteenth faster.
_AT_ONCE = 16
# What the rules of all languages cost beside those of one: the phone numbers of eight countries are looked for in each.
_ALL_LANGUAGES_TIMES = 4
# Below this a digit pattern without a word of context is as often an order number as a passport.
_MIN_SCORE = 0.4
# What the names' recogniser is sure of, as Presidio takes it; its own labels for what we do not call personal are left out.
_NER = {"PERSON": "PERSON", "GPE": "LOCATION", "LOC": "LOCATION", "FAC": "LOCATION"}
# Hosts and years alone are no personal data.
_LEFT_OUT = frozenset({"URL", "DATE_TIME", "NRP", "ORGANIZATION"})
# What no text without a digit has. Phone numbers are looked for by the rules of eight countries.
_NUMBERS = frozenset({"PHONE_NUMBER", "CREDIT_CARD"})
_DIGIT = re.compile(r"\d")


class PresidioTagger:
    """Maps a text, or a pair of text and language, to spans of personal data without overlaps."""

    labels: tuple[str, ...] = ()
    # Some 150 ms: whoever comes with one message waits for no more.
    batch_tokens = 768

    def __init__(self, spec: ModelSpec, path: Path, config: EngineConfig) -> None:
        self._spec, self._path = spec, path
        self._languages: list[str] = list(spec.options.get("languages", ["en"]))
        self._max_chars = int(spec.options.get("max_chars", _MAX_CHARS))
        self._engine: Any = None
        self._analyzers: dict[str, Any] = {}
        self._wanted: dict[str, list[str]] = {}

    def load(self) -> None:
        """Load the pipeline and the recognisers. Takes 8 s, most of it the libraries. Raises ModelUnavailable."""
        # It tells each recogniser that it loads and each label that it leaves out, for every text.
        logging.getLogger("presidio-analyzer").setLevel(logging.ERROR)
        try:
            import spacy
            import tldextract.tldextract
            from presidio_analyzer.nlp_engine import NerModelConfiguration, SpacyNlpEngine
        except ImportError as error:
            raise ModelUnavailable(f"the package {error.name} is not installed; run `make install`") from error
        # Its default asks a host on the internet for the list of domain suffixes; one comes with the package.
        tldextract.tldextract.TLD_EXTRACTOR = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)
        first, *others = self._languages
        names = NerModelConfiguration(model_to_presidio_entity_mapping=_NER, labels_to_ignore=[])
        engine = SpacyNlpEngine(models=[{"lang_code": first, "model_name": ""}], ner_model_configuration=names)
        try:
            # Words of context are compared by their lemmas; nobody asks for the structure of a sentence.
            pipeline = spacy.util.load_model_from_path(self._path, exclude=["parser", "senter"])
        except Exception as error:
            raise ModelUnavailable(f"{self._spec.name} cannot be loaded: {error}") from error
        nlp: dict[str, Any] = {first: pipeline} | {language: spacy.blank(language) for language in others}
        for one in nlp.values():
            one.tokenizer = BoundedTokenizer(one.tokenizer)
        engine.nlp = nlp  # type: ignore[assignment]  # the library calls it None until it is loaded
        self._engine = engine
        self._analyzers = _analyzers(engine, self._languages)
        self._wanted = {
            language: sorted(set(analyzer.get_supported_entities(language)) - _LEFT_OUT)
            for language, analyzer in self._analyzers.items()
        }
        self.labels = tuple(sorted({label for labels in self._wanted.values() for label in labels}))
        self.run([Prepared(1, ("Jane Miller, jane@example.com", first))])

    def prepare(self, items: Sequence[BatchItem]) -> list[Prepared]:
        """Cut texts to the limit; languages that are not listed count as the first."""
        return [self._prepared(item) for item in items]

    def run(self, batch: Sequence[Prepared], give_way: GiveWay = stay, /) -> list[Any]:
        """Return a tuple of Span per text."""
        texts: dict[str, list[int]] = {}
        for index, one in enumerate(batch):
            language = one.payload[1]
            # A text in no known language may have the numbers of any.
            for each in [language] if language in self._languages else self._languages:
                texts.setdefault(each, []).append(index)
        found: list[list[Any]] = [[] for _ in batch]
        for language, chosen in texts.items():
            for index, results in zip(chosen, self._read(batch, chosen, language, give_way), strict=True):
                found[index] += results
        return [_spans(one.payload[0], results) for one, results in zip(batch, found, strict=True)]

    def stop(self) -> None:
        """Let the models go."""
        self._engine = None
        self._analyzers = {}

    def _read(
        self, batch: Sequence[Prepared], chosen: Sequence[int], language: str, give_way: GiveWay
    ) -> list[list[Any]]:
        """Return what the recognisers of a language find in each chosen text; the pipeline reads some together."""
        texts = [batch[index].payload[0] for index in chosen]
        analyzer, wanted = self._analyzers[language], self._wanted[language]
        numberless = [entity for entity in wanted if entity not in _NUMBERS]
        # Without a zone of its own the vocabulary would keep every word that was ever seen.
        with self._engine.nlp[language].memory_zone():
            found = []
            for text, read in self._engine.process_batch(texts, language, batch_size=_AT_ONCE):
                give_way()
                found.append(
                    analyzer.analyze(
                        text,
                        language,
                        entities=wanted if _DIGIT.search(text) else numberless,
                        score_threshold=_MIN_SCORE,
                        nlp_artifacts=read,
                    )
                )
            return found

    def _prepared(self, item: BatchItem) -> Prepared:
        text, language = item if isinstance(item, tuple) else (item, self._languages[0])
        if not isinstance(text, str):
            raise EngineError(f"{self._spec.name} takes texts")
        cut = text[: self._max_chars]
        truncated = len(text) > self._max_chars
        times = 1 if language in self._languages else _ALL_LANGUAGES_TIMES
        # Nothing half masked: where two parts see different spans at their edge, both are covered.
        return prepared_in_parts(cut, lambda part: (part, language), truncated=truncated, cover=True, times=times)


def _spans(text: str, found: Sequence[Any]) -> tuple[Span, ...]:
    # The surest first, then the longest: each place of the text belongs to one span.
    kept: list[Any] = []
    for one in sorted(found, key=lambda result: (-result.score, result.start - result.end, result.start)):
        if all(one.end <= other.start or one.start >= other.end for other in kept):
            kept.append(one)
    return tuple(
        Span(one.start, one.end, one.entity_type, round(float(one.score), 3), text[one.start : one.end])
        for one in sorted(kept, key=lambda result: result.start)
    )


def _analyzers(engine: Any, languages: Sequence[str]) -> dict[str, Any]:
    """Return one analyzer for each language: for every text, it looks through all recognisers that it has."""
    from presidio_analyzer import AnalyzerEngine, RecognizerRegistry

    registry = RecognizerRegistry(supported_languages=list(languages))
    registry.load_predefined_recognizers(languages=list(languages), nlp_engine=engine)
    _complete(registry, languages)
    made = {}
    for language in languages:
        own = [one for one in registry.recognizers if one.supported_language == language]
        chosen = RecognizerRegistry(recognizers=own, supported_languages=[language])
        made[language] = AnalyzerEngine(registry=chosen, nlp_engine=engine, supported_languages=[language])
    return made


def _complete(registry: Any, languages: Sequence[str]) -> None:
    """Add what the library has for some languages only, and what it lacks.

    That is Brazil's tax numbers, and e-mail addresses below domains that are in no public list: those of internal hosts.
    """
    from presidio_analyzer import Pattern, PatternRecognizer
    from presidio_analyzer.predefined_recognizers import CreditCardRecognizer

    has_cards = {one.supported_language for one in registry.recognizers if "CREDIT_CARD" in one.supported_entities}
    address = Pattern("any domain", r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){0,8}", 0.8)
    for language in languages:
        registry.add_recognizer(PatternRecognizer("EMAIL_ADDRESS", patterns=[address], supported_language=language))
        if language not in has_cards:
            registry.add_recognizer(CreditCardRecognizer(supported_language=language))

    class TaxNumber(PatternRecognizer):  # type: ignore[misc]  # the library is imported late
        def validate_result(self, pattern_text: str) -> bool:
            return cpf_valid(pattern_text)

    pattern = Pattern("CPF", r"\b\d{3}\.?\d{3}\.?\d{3}-?\d{2}\b", 0.3)
    if "pt" in languages:
        registry.add_recognizer(TaxNumber("BR_CPF", patterns=[pattern], context=["cpf"], supported_language="pt"))


def cpf_valid(written: str) -> bool:
    """Return whether the two check digits of a Brazilian CPF fit the other nine."""
    digits = [int(character) for character in written if character.isdigit()]
    if len(digits) != 11 or len(set(digits)) == 1:
        return False
    for length in (9, 10):
        total = sum(digit * weight for digit, weight in zip(digits, range(length + 1, 1, -1), strict=False))
        if total * 10 % 11 % 10 != digits[length]:
            return False
    return True
