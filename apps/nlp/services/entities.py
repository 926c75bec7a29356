"""Who and what a text names: people, organisations, places, dates, amounts, order numbers, and patterns of the caller."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import regex
from pydantic import Field, StringConstraints

from apps.core.errors import Invalid
from apps.inference.services import default_model, tag_texts
from apps.inference.types import Span
from apps.translation.services.language import languages_of
from apps.translation.types import Call, Options, Outcome

TYPES = ("person", "organization", "place", "date", "amount", "email", "phone", "url", "order_number")
_LABELS = {
    "PERSON": "person",
    "PER": "person",
    "ORG": "organization",
    "GPE": "place",
    "LOC": "place",
    "FAC": "place",
    "DATE": "date",
    "TIME": "date",
    "MONEY": "amount",
    "PERCENT": "amount",
    "QUANTITY": "amount",
}
# The recogniser's words for languages; it reads these, and invents in others.
_NER_LANGUAGE = "en"
_SURE = 0.9
_PATTERNS: tuple[tuple[str, Any], ...] = (
    ("email", regex.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")),
    ("url", regex.compile(r"\bhttps?://[^\s<>\"')\]]{1,2000}(?<![.,;:!?])")),
    (
        "order_number",
        regex.compile(
            r"(?i:\b(?:order|invoice|ticket|case|booking|reference|ref|rma|tracking)\b"
            r"(?:\s{1,3}(?:number|no|nr|id|code))?\.?\s{0,3}[:#]?\s{0,3}(?:is\s{1,3})?)"
            r"(#?(?=[\w-]{0,30}\d)[A-Za-z0-9][A-Za-z0-9-]{2,30})\b"
            r"|(#\d{4,20})\b|\b([A-Z]{2,5}-\d{3,12}(?:-\d{1,12})?)\b"
        ),
    ),
    (
        "amount",
        regex.compile(r"(?:[$€£¥]\s?\d[\d.,]{0,15}\d|[$€£¥]\s?\d|\b\d[\d.,]{0,15}\s?(?:€|£|USD|EUR|GBP|BRL|CHF)\b)"),
    ),
    (
        "phone",
        regex.compile(r"(?<![\w-])(?:\+\d{1,3}[ .-]?)?(?:\(\d{1,4}\)[ .-]?)?\d{2,4}(?:[ .-]\d{2,4}){2,4}(?![\w-])"),
    ),
)
_PATTERN_S = 0.1


class EntitiesOptions(Options):
    """`types` limits what is looked for; `patterns` adds types of the caller's own: {type: regular expression}."""

    types: list[str] = Field(default=[], max_length=40)
    patterns: dict[
        Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")],
        Annotated[str, StringConstraints(min_length=1, max_length=200)],
    ] = Field(default={}, max_length=20)
    model: str = Field(default="", max_length=120)


def model_of(options: EntitiesOptions) -> str:
    """Return the name of the model that finds names."""
    return options.model or default_model("tagger").name


def run(call: Call, texts: Sequence[str], options: EntitiesOptions) -> list[Outcome]:
    """Return `{"entities": [{"text", "type", "start", "end", "score"}], "language"}` for each text, in order of place.

    Names are looked for in texts that may be English (another model: any language); patterns in all. Where two overlap,
    a pattern of the caller wins over ours, and ours over the model. The score of a name is the precision that the model's
    makers measured for its kind; of a pattern 1.
    Errors: Invalid "pattern_invalid", "type_unknown"; in place "pattern_slow".
    """
    own = _compiled(options)
    wanted = set(options.types)
    unknown = sorted(wanted - set(TYPES) - set(own))
    if unknown:
        raise Invalid(f"There is no type {unknown[0]!r}.", code="type_unknown", details={"types": [*TYPES, *own]})
    languages = languages_of(texts)
    named = _named(call, texts, languages, options.model)
    outcomes: list[Outcome] = []
    for text, spans, (language, _) in zip(texts, named, languages, strict=True):
        try:
            found = [*_matches(text, own.items()), *_matches(text, _PATTERNS), *spans]
        except TimeoutError:
            outcomes.append(Invalid("A pattern takes too long on this text.", code="pattern_slow"))
            continue
        kept = [one for one in _apart(found) if not wanted or one["type"] in wanted]
        outcomes.append({"entities": kept, "language": language})
    return outcomes


def _compiled(options: EntitiesOptions) -> dict[str, Any]:
    compiled = {}
    for name, pattern in options.patterns.items():
        try:
            compiled[name] = regex.compile(pattern.replace("\x00", ""))
        except regex.error as error:
            raise Invalid(f"The pattern of {name} is no regular expression: {error}", code="pattern_invalid") from error
    return compiled


def _named(
    call: Call, texts: Sequence[str], languages: Sequence[tuple[str, float]], model: str
) -> list[list[dict[str, Any]]]:
    """Return what the model finds in each text that is in its language."""
    readable = [
        index for index, (language, sure) in enumerate(languages) if model or language == _NER_LANGUAGE or sure < _SURE
    ]
    rows: list[list[dict[str, Any]]] = [[] for _ in texts]
    if readable:
        found = tag_texts(
            [texts[index] for index in readable],
            tenant_id=call.tenant_id,
            deadline_s=call.left_s(),
            priority=call.priority,
            model=model,
        )
        for index, spans in zip(readable, found.spans, strict=True):
            rows[index] = [_entity(span) for span in spans if span.label.upper() in _LABELS or model]
    return rows


def _entity(span: Span) -> dict[str, Any]:
    kind = _LABELS.get(span.label.upper(), span.label.lower())
    return {"text": span.text, "type": kind, "start": span.start, "end": span.end, "score": round(span.score, 4)}


def _matches(text: str, patterns: Any) -> Iterator[dict[str, Any]]:
    """Yield each match; raises TimeoutError when a pattern takes longer than 0.1 s on the text."""
    for name, pattern in patterns:
        for match in pattern.finditer(text, timeout=_PATTERN_S + len(text) / 1_000_000):
            group = match.lastindex or 0
            start, end = match.span(group)
            if end > start:
                yield {"text": text[start:end], "type": name, "start": start, "end": end, "score": 1.0}


def _apart(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return entities without overlaps, those that come first in `found` before others, in order of place."""
    taken: list[dict[str, Any]] = []
    places: set[int] = set()
    for one in found:
        span = range(one["start"], one["end"])
        if places.isdisjoint(span):
            places.update(span)
            taken.append(one)
    return sorted(taken, key=lambda one: one["start"])
