"""What a text says, shorter: by its own sentences, or in new ones that are checked against it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from pydantic import Field

from apps.analysis.services.grounding.check import GroundingContext, PassageText
from apps.analysis.services.grounding.text import sentences as written_sentences
from apps.analysis.services.heads import vectors_of
from apps.analysis.services.segments import sentences_of
from apps.analysis.services.writing import texts_write
from apps.analysis.types import Call, Options, Outcome
from apps.core.errors import Invalid
from apps.inference.services import default_model
from apps.inference.types import ChatMessage, GenerateRequest

EXTRACTIVE = "textrank"
_LENGTHS = {"headline": 1, "short": 1, "medium": 3, "long": 6}
# What the default chat model summarises in one go; more is read in sections, and their summaries once more.
_SECTION_CHARS = 2_400
_MAX_ROUNDS = 4
_MAX_SENTENCES = 4_000
_DAMPING = 0.85
_STEPS = 30
# A sentence that says what a chosen one says is left out.
_SAME = 0.8
_LEAD = 0.25
_LEAD_OF_HEADLINE = 0.75
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


def model_of(options: SummarizeOptions) -> str:
    """Return the name of what summarises."""
    return EXTRACTIVE if options.method == "extractive" else (options.model or default_model("chat").name)


def run(call: Call, texts: Sequence[str], options: SummarizeOptions) -> list[Outcome]:
    """Return `{"summary", "sentences": [{"text", "supported", "start"?, "end"?}], "method"}` for each text.

    Long texts are read whole, in sections; nothing is cut off. When none of the written sentences is borne out by the
    text, its own sentences stand in and `method` says so.
    Errors: in place Invalid "text_too_long" beyond 4,000 sentences.
    """
    outcomes: list[Outcome] = []
    for text in texts:
        spans = sentences_of(text)
        if len(spans) > _MAX_SENTENCES:
            outcomes.append(
                Invalid(f"At most {_MAX_SENTENCES} sentences can be summarised at once.", code="text_too_long")
            )
            continue
        outcomes.append(_summary(call, text, spans, options))
    return outcomes


def _summary(call: Call, text: str, spans: list[tuple[int, int]], options: SummarizeOptions) -> dict[str, Any]:
    method, said = options.method, []
    if options.length == "headline":
        method, said = "extractive", [_headline(one) for one in _chosen(call, text, spans, 1, lead=_LEAD_OF_HEADLINE)]
    elif options.method == "abstractive":
        said = _written(call, text, spans, options)
        if options.unsupported == "drop":
            said = [one for one in said if one.supported]
    if not any(one.supported for one in said):
        method, said = "extractive", _chosen(call, text, spans, options.wanted) or said
    joined = (
        "\n".join(f"- {one.text}" for one in said)
        if options.format == "bullets"
        else " ".join(one.text for one in said)
    )
    return {"summary": joined, "sentences": [one.as_dict() for one in said], "method": method}


# -- by its own sentences ------------------------------------------------------------------------------------------------
def _chosen(call: Call, text: str, spans: list[tuple[int, int]], wanted: int, *, lead: float = _LEAD) -> list[_Said]:
    """Return the most central sentences that are unlike each other, in order of the text.

    Source: Mihalcea and Tarau, "TextRank", EMNLP 2004, over cosines of sentence vectors; a part of the weight falls from
            the beginning of the text to its end, because texts say first what they are about.
    """
    if not spans:
        return []
    sentences = [_SPACE.sub(" ", text[start:end]) for start, end in spans]
    vectors = vectors_of(call, sentences)
    scores = _centrality(vectors) * (1 - lead) + lead * np.linspace(1, 0, len(spans)) / len(spans) * 2
    # A heading or a fragment is central, too, and says nothing.
    scores *= np.array([min(1.0, len(sentence.split()) / 8) for sentence in sentences])
    picked: list[int] = []
    for index in np.argsort(-scores, kind="stable"):
        if len(picked) == wanted:
            break
        if not picked or float((vectors[picked] @ vectors[index]).max()) < _SAME:
            picked.append(int(index))
    return [_Said(sentences[index], True, *spans[index]) for index in sorted(picked)]


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


def _centrality(vectors: Any) -> Any:
    """Return the stationary weights of a walk between similar sentences: float (n,), sum 1."""
    count = len(vectors)
    near = np.clip(vectors @ vectors.T, 0, None).astype(np.float32)
    np.fill_diagonal(near, 0)
    totals = near.sum(axis=1, keepdims=True)
    steps = np.divide(near, totals, out=np.full_like(near, 1 / count), where=totals > 0)
    weights = np.full(count, 1 / count, dtype=np.float32)
    for _ in range(_STEPS):
        weights = (1 - _DAMPING) / count + _DAMPING * (weights @ steps)
    return weights


# -- in new sentences ----------------------------------------------------------------------------------------------------
def _written(call: Call, text: str, spans: list[tuple[int, int]], options: SummarizeOptions) -> list[_Said]:
    """Summarise sections, then their summaries, until one section is left; check each sentence against the text."""
    sections = sections_of(text, spans)
    checked: list[tuple[str, bool]] = []
    for _ in range(_MAX_ROUNDS):
        written = texts_write(call, [_request(section, options) for section in sections])
        checked = []
        for section, found in zip(sections, written, strict=True):
            checked += _checked(call, section, found[0], options.wanted)
        if len(sections) == 1:
            break
        kept = " ".join(sentence for sentence, supported in checked if supported)
        if not kept:
            break
        sections = sections_of(kept, sentences_of(kept))
    return [_Said(sentence, supported) for sentence, supported in checked[: options.wanted]]


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


def _request(section: str, options: SummarizeOptions) -> GenerateRequest:
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
