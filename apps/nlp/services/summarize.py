"""What a text says, shorter: by its own sentences, or in new ones that are checked against it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field

from apps.core.errors import Invalid
from apps.inference.services import default_model
from apps.inference.types import ChatMessage, GenerateRequest
from apps.nlp.services.choosing import Weights, sentences_choose
from apps.nlp.services.grounding.check import GroundingContext, PassageText
from apps.nlp.services.grounding.text import sentences as written_sentences
from apps.nlp.services.heads import vectors_of
from apps.nlp.services.segments import parts_of, sentences_of
from apps.nlp.services.writing import texts_write
from apps.translation.types import Call, Options, Outcome

EXTRACTIVE = "textrank"
_LENGTHS = {"headline": 1, "short": 1, "medium": 3, "long": 6}
# What the default chat model summarises in one go; more is read in sections, and their summaries once more.
_SECTION_CHARS = 2_400
_MAX_ROUNDS = 4
_MAX_SENTENCES = 4_000
# How sentences are chosen, for one and for several: `python -m bench.summaries` measured them.
_ONE = Weights(lead=0.6, leaning=0.5, same=0.8)
_SEVERAL = Weights(lead=0.25, leaning=0.5, same=0.7)
# Sentences that are read at once, over the texts of a call: 6 MB of vectors.
_AT_ONCE = 4_000
_HEADLINE_WORDS = 12
# "This package provides a", "Foo is the": what stands before the thing itself.
_OPENING = re.compile(
    r"^(?:(?:this|the|our)\s)?(?:[\w.+-]+\s){1,5}?"
    r"(?:is|are|was|were|provides?|contains?|includes?|offers?|implements?)\s(?:(?:an?|the)\s)?(?=\w)",
    re.IGNORECASE,
)
# Where the main thing has been said.
_TAIL = re.compile(
    r"\s*(?:,|;|:|\(|\s[-–—]\s|\b(?:which|that|who|whose|where|when|while|because|so that|in order to|such as|including"
    r"|and (?:is|are|can|it|provides?|includes?))\b).*$",
    re.IGNORECASE | re.DOTALL,
)
_SYSTEM = "You summarize texts. Use only what the text says, in its own words. Do not add anything."
_SPACE = re.compile(r"\s+")


class SummarizeOptions(Options):
    """`method` "extractive" takes sentences of the text, "abstractive" has the chat model write; `length` in sentences.

    The length "headline" is the core of one sentence of the text, whatever the method.

    `max_sentences` overrides `length`. `unsupported`: what becomes of written sentences that the text does not bear out.
    """

    method: Literal["extractive", "abstractive"] = "extractive"
    length: Literal["headline", "short", "medium", "long"] = "medium"
    max_sentences: int = Field(default=0, ge=0, le=30)
    format: Literal["paragraph", "bullets"] = "paragraph"
    unsupported: Literal["mark", "drop"] = "mark"
    model: str = Field(default="", max_length=120)

    @property
    def wanted(self) -> int:
        """How many sentences."""
        return self.max_sentences or _LENGTHS[self.length]


@dataclass(frozen=True, slots=True)
class _Said:
    """A sentence of a summary; `start` and `end` are its place in the text when it was taken from there."""

    text: str
    supported: bool
    start: int | None = None
    end: int | None = None

    def as_dict(self) -> dict[str, Any]:
        place = {} if self.start is None else {"start": self.start, "end": self.end}
        return {"text": self.text, "supported": self.supported} | place


@dataclass(frozen=True, slots=True)
class _Source:
    """A text with the places of its sentences."""

    text: str
    spans: list[tuple[int, int]]


def model_of(options: SummarizeOptions) -> str:
    """Return the name of what summarises."""
    return EXTRACTIVE if options.method == "extractive" else (options.model or default_model("chat").name)


def run(call: Call, texts: Sequence[str], options: SummarizeOptions) -> list[Outcome]:
    """Return `{"summary", "sentences": [{"text", "supported", "start"?, "end"?}], "method"}` for each text.

    Long texts are read whole, in sections; nothing is cut off. When none of the written sentences is borne out by the
    text, its own sentences stand in and `method` says so.
    Errors: in place Invalid "text_too_long" beyond 4,000 sentences.
    """
    sources = [_Source(text, sentences_of(text)) for text in texts]
    fitting = [one for one in sources if len(one.spans) <= _MAX_SENTENCES]
    said = iter(_said(call, fitting, options))
    return [
        _result(*next(said), options)
        if len(one.spans) <= _MAX_SENTENCES
        else Invalid(f"At most {_MAX_SENTENCES} sentences can be summarised at once.", code="text_too_long")
        for one in sources
    ]


def _said(call: Call, sources: Sequence[_Source], options: SummarizeOptions) -> list[tuple[str, list[_Said]]]:
    """Return method and sentences for each text."""
    if options.length == "headline":
        return [("extractive", [_headline(one) for one in row]) for row in _chosen(call, sources, 1)]
    if options.method == "extractive":
        return [("extractive", row) for row in _chosen(call, sources, options.wanted)]
    rows = _written(call, sources, options)
    if options.unsupported == "drop":
        rows = [[one for one in row if one.supported] for row in rows]
    unheld = [index for index, row in enumerate(rows) if not any(one.supported for one in row)]
    found = [("abstractive", row) for row in rows]
    for index, row in zip(unheld, _chosen(call, [sources[index] for index in unheld], options.wanted), strict=True):
        found[index] = ("extractive", row or rows[index])
    return found


def _result(method: str, said: Sequence[_Said], options: SummarizeOptions) -> dict[str, Any]:
    joined = (
        "\n".join(f"- {one.text}" for one in said)
        if options.format == "bullets"
        else " ".join(one.text for one in said)
    )
    return {"summary": joined, "sentences": [one.as_dict() for one in said], "method": method}


# -- by its own sentences ------------------------------------------------------------------------------------------------
def _chosen(call: Call, sources: Sequence[_Source], wanted: int) -> list[list[_Said]]:
    """Return for each text its sentences that say what it is about, in order of the text."""
    weights = _ONE if wanted == 1 else _SEVERAL
    rows: list[list[_Said]] = []
    for part in parts_of(sources, lambda one: len(one.spans), _AT_ONCE):
        sentences = [[_SPACE.sub(" ", one.text[start:end]) for start, end in one.spans] for one in part]
        vectors = vectors_of(call, [sentence for row in sentences for sentence in row])
        begin = 0
        for one, row in zip(part, sentences, strict=True):
            places = sentences_choose(row, vectors[begin : begin + len(row)], wanted, weights=weights)
            rows.append([_Said(row[place], True, *one.spans[place]) for place in places])
            begin += len(row)
    return rows


def _headline(said: _Said) -> _Said:
    """Return the core of a sentence: words of it, in order, without what introduces or explains them."""
    bare = said.text.rstrip(" .!")
    core = _OPENING.sub("", bare)
    core = core if len(core.split()) > 1 else bare
    first = _TAIL.sub("", core)
    core = first if len(first.split()) > 2 else core
    words = core.split()
    short = " ".join(words[:_HEADLINE_WORDS]).rstrip(" ,;:")
    return _Said(short[:1].upper() + short[1:], True, said.start, said.end)


# -- in new sentences ----------------------------------------------------------------------------------------------------
def _written(call: Call, sources: Sequence[_Source], options: SummarizeOptions) -> list[list[_Said]]:
    """Summarise sections, then their summaries, until one section of each text is left; check each sentence."""
    sections = {index: sections_of(one.text, one.spans) for index, one in enumerate(sources)}
    checked: dict[int, list[tuple[str, bool]]] = {}
    for _ in range(_MAX_ROUNDS):
        if not sections:
            break
        asked = [(index, section) for index, some in sections.items() for section in some]
        written = texts_write(call, [request_of(section, options) for _, section in asked])
        checked |= {index: [] for index in sections}
        for (index, section), found in zip(asked, written, strict=True):
            checked[index] += _checked(call, section, found[0], options.wanted)
        sections = {
            index: sections_of(kept, sentences_of(kept))
            for index, some in sections.items()
            if len(some) > 1 and (kept := " ".join(sentence for sentence, supported in checked[index] if supported))
        }
    return [[_Said(*one) for one in checked.get(index, [])[: options.wanted]] for index in range(len(sources))]


def sections_of(text: str, spans: list[tuple[int, int]]) -> list[str]:
    """Return the text in sections that the model reads in one go, cut between sentences where it can be."""
    sections: list[str] = []
    begin = end = 0
    for _, sentence_end in spans:
        if sentence_end - begin > _SECTION_CHARS and end > begin:
            sections.append(text[begin:end].strip())
            begin = end
        while sentence_end - begin > _SECTION_CHARS:
            sections.append(text[begin : begin + _SECTION_CHARS])
            begin += _SECTION_CHARS
        end = sentence_end
    return [section for section in [*sections, text[begin:].strip()] if section]


def request_of(section: str, options: SummarizeOptions) -> GenerateRequest:
    """Return what the model is asked for one section."""
    sentences = "one sentence" if options.wanted == 1 else f"at most {options.wanted} sentences"
    asked = f"Text:\n{section}\n\nSummarize the text in {sentences}. Copy its words where you can."
    return GenerateRequest(
        messages=(ChatMessage("system", _SYSTEM), ChatMessage("user", asked)),
        max_tokens=50 + 40 * options.wanted,
        stop=("\nText:", "\n\n\n"),
        model=options.model,
    )


def _checked(call: Call, source: str, written: str, wanted: int) -> list[tuple[str, bool]]:
    """Return the sentences with whether the source bears them out; talk without a claim is left out."""
    context = GroundingContext([PassageText(source)], lambda texts: vectors_of(call, texts))
    rows = []
    previous = None
    for sentence in written_sentences(written):
        bare = _SPACE.sub(" ", sentence.text).strip(" -*•")
        verdict = context.check(bare, previous)
        if bare and not verdict.filler and verdict.reason != "repeated":
            rows.append((bare, verdict.supported))
            previous = verdict if verdict.supported else previous
    return rows[:wanted]
