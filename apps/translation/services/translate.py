"""Translation of texts: languages, what must not change, the organisation's terms and approved texts, the model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from apps.core.errors import AppError, TooLarge
from apps.core.tenancy import connection_release
from apps.inference.services import sentences_split, translate_texts
from apps.inference.types import TranslateItem
from apps.translation.markup.html import HtmlText
from apps.translation.markup.layout import Layout, PlainText, TooManySegments
from apps.translation.markup.markdown import MarkdownText
from apps.translation.markup.marks import Parts
from apps.translation.markup.protect import Glossary, Term, protected
from apps.translation.markup.segments import Translation
from apps.translation.services.glossary import glossary_terms
from apps.translation.services.language import language_among, language_of
from apps.translation.services.memory import memory_lookup
from apps.translation.services.pairs import Pair, language_base, pair_find, pairs_list, sources_for
from apps.translation.types import Call, Options, Outcome

# A text that is surer than this is in that language, whether or not it can be translated.
SURE = 0.8
_DETECT_CHARS = 4_000
# Of one call to the model.
_MAX_ITEMS, _MAX_CHARS = 256, 100_000
Language = Annotated[str, Field(pattern=r"^[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8}){0,2}$")]
TextFormat = Literal["text", "html", "markdown"]
Progress = Callable[[int], None]
_LAYOUTS: dict[TextFormat, Callable[[str], Layout]] = {"text": PlainText, "html": HtmlText, "markdown": MarkdownText}


class TranslateOptions(Options):
    """`source` "auto": of each text by itself. `glossary` and `memory`: whether the organisation's are used."""

    source: Language | Literal["auto"] = "auto"
    target: Language
    format: TextFormat = "text"
    glossary: bool = True
    memory: bool = True
    model: str = Field(default="", max_length=120)


@dataclass(frozen=True, slots=True)
class Source:
    """The language of a text and how sure that is; "und" for a text without words."""

    language: str
    confidence: float


def model_name(options: TranslateOptions) -> str:
    """Return the model for `options` where that does not depend on the texts, else the default."""
    if options.model:
        return options.model
    if options.source != "auto" and language_base(options.source) != language_base(options.target):
        return pair_find(options.source, options.target).model
    pairs = pairs_list()
    fitting = [pair for pair in pairs if language_base(pair.target) == language_base(options.target)]
    return (fitting or pairs)[0].model if pairs else ""


def run(call: Call, texts: Sequence[str], options: TranslateOptions) -> list[Outcome]:
    """Return `{"text", "source", "target"}` for each text, with `confidence` where the language was detected.

    Errors: Invalid "language_pair_unknown", of a text whose language was detected in its place, else of the whole call.
    """
    return texts_translate(call, texts, options)[0]


def texts_translate(call: Call, texts: Sequence[str], options: TranslateOptions) -> tuple[list[Outcome], int]:
    """Return what `run` returns, and how many tokens the models have read."""
    tokens = 0
    layouts: list[Layout | AppError] = [_layout(options.format, text) for text in texts]
    sources = [_source(one, options) if isinstance(one, Layout) else Source("und", 0.0) for one in layouts]
    outcomes: list[Outcome] = [one if isinstance(one, AppError) else {} for one in layouts]
    for language in dict.fromkeys(source.language for source in sources):
        places = [n for n, source in enumerate(sources) if source.language == language and outcomes[n] == {}]
        group = [one for n in places if isinstance(one := layouts[n], Layout)]
        try:
            written, model, used = _group_translate(call, group, language, options)
            tokens += used
        except AppError as error:
            if options.source != "auto" or error.code != "language_pair_unknown":
                raise
            written, model = list[str | AppError]([error] * len(group)), {}
        for place, text in zip(places, written, strict=True):
            detected = {"confidence": sources[place].confidence} if options.source == "auto" else {}
            found: Outcome = {"text": text, "source": language, "target": options.target, **detected, **model}
            outcomes[place] = text if isinstance(text, AppError) else found
    return outcomes, tokens


def _layout(name: TextFormat, text: str) -> Layout | AppError:
    try:
        return _LAYOUTS[name](text)
    except TooManySegments:
        return TooLarge("The text has too many lines; send it as a document.", code="text_too_long")


def _source(layout: Layout, options: TranslateOptions) -> Source:
    if options.source != "auto":
        return Source(options.source, 1.0)
    return source_detect(layout.segments, target=options.target, model=options.model)


def source_detect(segments: Sequence[Parts], *, target: str, model: str = "") -> Source:
    """Return the language of a text's words: placeholders, addresses and tags say nothing about it.

    A short text often looks like a language that it is not: where that is not sure, the likeliest counts of those that
    can be translated into `target`, and `target` itself.
    """
    words, length = [], 0
    for segment in segments:
        found = " ".join(part for part in protected(segment) if isinstance(part, str))
        words.append(found)
        length += len(found)
        if length > _DETECT_CHARS:
            break
    text = " ".join(words)
    code, confidence = language_of(text)
    known = sources_for(target, model=model)
    if code == "und" or confidence >= SURE or known is None:
        return Source(code, confidence)
    return Source(*language_among(text, [*known, language_base(target)]))


def _group_translate(
    call: Call, layouts: Sequence[Layout], language: str, options: TranslateOptions
) -> tuple[list[str | AppError], dict[str, str], int]:
    """Return the texts of one language in the target's, which model made them, and the tokens that took."""
    if language == "und" or language_base(language) == language_base(options.target):
        return [layout.written(layout.segments) for layout in layouts], {}, 0
    pair = pair_find(language, options.target, model=options.model)
    segments = [segment for layout in layouts for segment in layout.segments]
    made, tokens = segments_translate(call, segments, pair=pair, glossary=options.glossary, memory=options.memory)
    done = iter(made)
    written: list[str | AppError] = [layout.written([next(done) for _ in layout.segments]) for layout in layouts]
    return written, {"model": pair.model}, tokens


def segments_translate(
    call: Call,
    segments: Sequence[Parts],
    *,
    pair: Pair,
    glossary: bool = True,
    memory: bool = True,
    progress: Progress = lambda _: None,
) -> tuple[list[Parts], int]:
    """Return each segment in the target language, and the tokens that took.

    `progress` is told how many sentences are done, now and then.

    Errors: those of `translate_texts`.
    """
    terms: list[Term] = []
    if glossary:
        terms = glossary_terms(tenant_id=call.tenant_id, source=pair.source, target=pair.target)
    translation = Translation(segments, split=sentences_split, glossary=Glossary(terms))
    known: dict[str, str] = {}
    if memory:
        known = memory_lookup(
            tenant_id=call.tenant_id, source=pair.source, target=pair.target, texts=translation.keys()
        )
    asking = _Asking(call, pair, progress)
    return translation.run(asking, known), asking.tokens


class _Asking:
    """Sentences to the model, in calls of a size that it takes."""

    def __init__(self, call: Call, pair: Pair, progress: Progress) -> None:
        self._call, self._pair, self._progress = call, pair, progress
        self._done = self.tokens = 0

    def __call__(self, texts: Sequence[str]) -> list[str]:
        unique = list(dict.fromkeys(texts))
        known: dict[str, str] = {}
        begin = 0
        while begin < len(unique):
            end = self._end(unique, begin)
            known |= zip(unique[begin:end], self._asked(unique[begin:end]), strict=True)
            self._done += end - begin
            self._progress(self._done)
            begin = end
        return [known[text] for text in texts]

    def _end(self, texts: Sequence[str], begin: int) -> int:
        chars, end = 0, begin
        while end < len(texts) and end - begin < _MAX_ITEMS and (end == begin or chars + len(texts[end]) <= _MAX_CHARS):
            chars += len(texts[end])
            end += 1
        return end

    def _asked(self, texts: Sequence[str]) -> list[str]:
        """Return the translations; what was too long for the model is asked again in halves, and never cut."""
        connection_release()
        items = [TranslateItem(text, self._pair.source, self._pair.target) for text in texts]
        result = translate_texts(
            items,
            tenant_id=self._call.tenant_id,
            deadline_s=self._call.left_s(),
            priority=self._call.priority,
            model=self._pair.model,
        )
        self.tokens += result.tokens
        found = list(result.texts)
        for place in result.truncated:
            halves = _halves(texts[place])
            if len(halves) == 2:
                found[place] = " ".join(self._asked(halves))
        return found


def _halves(text: str) -> list[str]:
    """Return the two halves of a text, cut at the space nearest to its middle; a single word stays whole."""
    middle = len(text) // 2
    cut = text.rfind(" ", 0, middle) if " " in text[:middle] else text.find(" ", middle)
    return [text[:cut].strip(), text[cut:].strip()] if 0 < cut < len(text) - 1 else [text]
