"""Is a text negative, neutral or positive?"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from pydantic import Field

from apps.core.errors import Invalid
from apps.inference.services import classify_texts, model_get
from apps.nlp.services.explaining import explain_outcomes
from apps.nlp.services.segments import sentences_of
from apps.translation.types import Call, Options, Outcome

MODEL = "minilm-sentiment"
LABELS = ("negative", "neutral", "positive")
MAX_SENTENCES = 256
_AT_ONCE = 256
# The encoder reads about 190 words at once; a longer text is judged by its parts.
_PART_CHARS = 900
_SPACE = re.compile(r"\s+")
_TURN = re.compile(
    r",?\s+\b(?:but|although|though|however|whereas|while|yet|except that)\b,?\s+|;\s+|\s+[-–—]\s+", re.IGNORECASE
)


class SentimentOptions(Options):
    """`sentences`: also of each sentence; `aspects`: of the sentences that name each of these; `explain`: by word."""

    sentences: bool = False
    aspects: list[str] = Field(default=[], max_length=20)
    explain: bool = False
    model: str = Field(default="", max_length=120)


def model_of(options: SentimentOptions) -> str:
    """Return the name of the model that answers."""
    return options.model or MODEL


def text_clean(text: str) -> str:
    """Return what the model reads: entities resolved, white space collapsed. The same in training and in use."""
    return _SPACE.sub(" ", html.unescape(text)).strip()


def run(call: Call, texts: Sequence[str], options: SentimentOptions) -> list[Outcome]:
    """Return `{"label", "score", "probabilities"}` for each text, with sentences, aspects and tokens on request.

    `score` is P(positive) - P(negative). A text of several parts is the mean of its parts, weighted by their length.
    """
    parts = [parts_of(text_clean(text)) for text in texts]
    probabilities = iter(probabilities_of(call, [part for row in parts for part in row], model_of(options)))
    outcomes: list[dict[str, Any]] = []
    for row in parts:
        rows = np.stack([next(probabilities) for _ in row])
        outcomes.append(_result(np.average(rows, axis=0, weights=[len(part) for part in row])))
    if options.sentences:
        _add_sentences(call, texts, options, outcomes)
    if options.aspects:
        _add_aspects(call, texts, options, outcomes)
    if options.explain:
        return explain_outcomes(call, texts, outcomes, labels=labels_of(model_of(options)), model=model_of(options))
    return list(outcomes)


def parts_of(text: str) -> list[str]:
    """Return the text in pieces that the encoder reads whole, cut between sentences where it can be."""
    if len(text) <= _PART_CHARS:
        return [text]
    parts = [""]
    for start, end in sentences_of(text):
        for begin in range(start, end, _PART_CHARS):
            piece = text[begin : min(end, begin + _PART_CHARS)]
            if parts[-1] and len(parts[-1]) + len(piece) > _PART_CHARS:
                parts.append("")
            parts[-1] += piece + " "
    return [part.strip() for part in parts if part.strip()] or [text[:_PART_CHARS]]


def probabilities_of(call: Call, texts: Sequence[str], model: str) -> list[Any]:
    """Return one float32 (3,) per text, in the order of LABELS. Raises Invalid for a model with other labels."""
    rows: list[Any] = []
    for begin in range(0, len(texts), _AT_ONCE):
        found = classify_texts(
            texts[begin : begin + _AT_ONCE],
            tenant_id=call.tenant_id,
            deadline_s=call.left_s(),
            priority=call.priority,
            model=model,
        )
        order = _order(found.labels)
        logits = found.logits[:, order]
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        rows.extend(shares / shares.sum(axis=1, keepdims=True))
    return rows


def labels_of(model: str) -> tuple[str, ...]:
    """Return a model's labels in the order of its logits. Raises Invalid when they are not those of sentiment."""
    return tuple(label.lower() for label in model_get(name=model).labels)


def _order(labels: Sequence[str]) -> list[int]:
    lowered = [label.lower() for label in labels]
    if sorted(lowered) != sorted(LABELS):
        raise Invalid("This model does not tell negative, neutral and positive apart.", code="model_labels")
    return [lowered.index(label) for label in LABELS]


def _result(shares: Any) -> dict[str, Any]:
    best = int(shares.argmax())
    return {
        "label": LABELS[best],
        "score": round(float(shares[2] - shares[0]), 4),
        "probabilities": {label: round(float(share), 4) for label, share in zip(LABELS, shares, strict=True)},
    }


def _add_sentences(call: Call, texts: Sequence[str], options: SentimentOptions, outcomes: list[dict[str, Any]]) -> None:
    spans = [sentences_of(text)[:MAX_SENTENCES] for text in texts]
    wanted = [text_clean(text[start:end]) for text, row in zip(texts, spans, strict=True) for start, end in row]
    shares = iter(probabilities_of(call, wanted, model_of(options)))
    for text, row, outcome in zip(texts, spans, outcomes, strict=True):
        outcome["sentences"] = [
            {"text": text[start:end], "start": start, "end": end} | _result(next(shares)) for start, end in row
        ]


def _add_aspects(call: Call, texts: Sequence[str], options: SentimentOptions, outcomes: list[dict[str, Any]]) -> None:
    """Add what the clauses that name each aspect say of it: one sentence may praise one thing and blame another."""
    clauses = [clauses_of(text) for text in texts]
    about = [[_naming(name, row) for name in options.aspects] for row in clauses]
    wanted = [text_clean(clause) for row in about for found in row for clause in found]
    shares = iter(probabilities_of(call, wanted, model_of(options)))
    for row, outcome in zip(about, outcomes, strict=True):
        outcome["aspects"] = [
            {"aspect": name, "mentions": len(found)}
            | (_result(np.mean([next(shares) for _ in found], axis=0)) if found else {"label": None})
            for name, found in zip(options.aspects, row, strict=True)
        ]


def clauses_of(text: str) -> list[str]:
    """Return the parts of each sentence between words that turn it around, at most 256."""
    spans = sentences_of(text)[:MAX_SENTENCES]
    parts = [part.strip() for start, end in spans for part in _TURN.split(text[start:end])]
    return [part for part in parts if part][:MAX_SENTENCES]


def _naming(name: str, clauses: Sequence[str]) -> list[str]:
    pattern = re.compile(rf"(?<!\w){re.escape(name.strip())}\w{{0,3}}(?!\w)", re.IGNORECASE)
    return [clause for clause in clauses if pattern.search(clause)]
