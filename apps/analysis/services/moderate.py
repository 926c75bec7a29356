"""Whether a text should be looked at before it is shown: six kinds of harm, each with a threshold."""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from apps.analysis.services.heads import vectors_of
from apps.analysis.services.moderation_phrases import HARMLESS, PHRASES
from apps.analysis.services.segments import sentences_of
from apps.analysis.types import Call, Options, Outcome
from apps.core.errors import Invalid
from apps.inference.services import default_model
from apps.tenants.selectors import organization_settings

CATEGORIES = tuple(PHRASES)
MODEL = "moderation-1"
THRESHOLD = 0.5
_MAX_SENTENCES = 64
# Of the least squares: more forgets the phrases' own words, less learns them by heart. Chosen on the evaluation's phrases.
_RIDGE = 0.3
_STEEPNESS = 6.0
_NEIGHBOURS = 0.5
# What is said in few fixed words is found by them; each is the least score that its category then has.
_PATTERNS: tuple[tuple[str, float, re.Pattern[str]], ...] = (
    (
        "prompt_injection",
        0.9,
        re.compile(
            r"\b(?:ignore|disregard|forget|override)\b.{0,30}\b(?:previous|prior|above|earlier|all|your|system)\b.{0,30}"
            r"\b(?:instructions?|rules?|prompts?|guidelines)\b"
            r"|\b(?:system prompt|developer mode|jailbreak|do anything now)\b|<\|(?:im_start|system)\|>|\[/?INST\]",
            re.IGNORECASE,
        ),
    ),
    (
        "threat",
        0.9,
        re.compile(
            r"\b(?:i(?:'ll| will| am going to|'m going to)|we will)\b.{0,20}"
            r"\b(?:kill|murder|shoot|stab)\s(?:you|him|her|them)\b",
            re.IGNORECASE,
        ),
    ),
    (
        "self_harm",
        0.9,
        re.compile(
            r"\b(?:kill(?:ing)? myself|end(?:ing)? my life|want to die|suicidal|commit suicide)\b", re.IGNORECASE
        ),
    ),
    (
        "insult",
        0.8,
        re.compile(
            r"\b(?:you(?:'re| are)?(?: all| such)?(?: an?)?|what an?)\s(?:\w+\s)?"
            r"(?:idiots?|morons?|imbeciles?|scumbags?|assholes?|bastards?)\b",
            re.IGNORECASE,
        ),
    ),
    (
        "toxicity",
        0.8,
        re.compile(r"\b(?:fuck(?:ing|ed|er)?|shit(?:ty)?|assholes?|bastards?|scumbags?|bullshit)\b", re.IGNORECASE),
    ),
    (
        "spam",
        0.8,
        re.compile(
            r"\b(?:click here to (?:claim|win)|you(?:'ve| have) won|make money fast|work from home and earn|viagra"
            r"|casino bonus)\b",
            re.IGNORECASE,
        ),
    ),
)
Share = Annotated[float, Field(ge=0, le=1)]


class ModerateOptions(Options):
    """`thresholds` by category, over those of the organisation."""

    thresholds: dict[str, Share] = Field(default={}, max_length=len(CATEGORIES))


def run(call: Call, texts: Sequence[str], options: ModerateOptions) -> list[Outcome]:
    """Return `{"flagged", "categories": {name: {"score", "flagged"}}, "thresholds"}` for each text.

    The score of a category is that of its worst sentence. English; texts in other languages get what few fixed words say.
    Errors: Invalid "category_unknown".
    """
    unknown = sorted(set(options.thresholds) - set(CATEGORIES))
    if unknown:
        raise Invalid(f"There is no category {unknown[0]!r}.", code="category_unknown", details=list(CATEGORIES))
    kept = organization_settings(tenant_id=call.tenant_id)["moderation_thresholds"]
    limits = dict.fromkeys(CATEGORIES, THRESHOLD) | kept | options.thresholds
    parts = [[text[a:b] for a, b in sentences_of(text)[:_MAX_SENTENCES]] or [text] for text in texts]
    vectors = vectors_of(call, [part for row in parts for part in row])
    scores = _scorer.get(call).scores(vectors)
    outcomes: list[Outcome] = []
    begin = 0
    for text, row in zip(texts, parts, strict=True):
        worst = scores[begin : begin + len(row)].max(axis=0)
        begin += len(row)
        outcomes.append(_result(text, worst, limits))
    return outcomes


def _result(text: str, worst: Any, limits: dict[str, float]) -> dict[str, Any]:
    shares = {name: float(share) for name, share in zip(CATEGORIES, worst, strict=True)}
    for name, least, pattern in _PATTERNS:
        if shares[name] < least and pattern.search(text[:20_000]):
            shares[name] = least
    categories = {name: {"score": round(share, 4), "flagged": share >= limits[name]} for name, share in shares.items()}
    return {
        "flagged": any(one["flagged"] for one in categories.values()),
        "categories": categories,
        "thresholds": limits,
    }


class _Scorer:
    """For each category a direction (regularised least squares) and the nearest phrases, of both kinds."""

    def __init__(self, own: dict[str, Any], harmless: Any) -> None:
        self._own, self._harmless = own, harmless
        self._directions = np.stack([_direction(own[name], harmless) for name in CATEGORIES])

    def scores(self, vectors: Any) -> Any:
        """Return float32 (n, categories) in 0..1."""
        linear = vectors @ self._directions[:, :-1].T + self._directions[:, -1]
        far = (vectors @ self._harmless.T).max(axis=1)
        near = np.stack([(vectors @ self._own[name].T).max(axis=1) - far for name in CATEGORIES], axis=1)
        return 1 / (1 + np.exp(-_STEEPNESS * (linear + _NEIGHBOURS * near)))


def _direction(positive: Any, negative: Any) -> Any:
    """Return float32 (dim + 1,), weights and bias: +1 on `positive` and -1 on `negative`, each with half of the say."""
    rows = np.concatenate([positive, negative])
    rows = np.concatenate([rows, np.ones((len(rows), 1), dtype=rows.dtype)], axis=1)
    targets = np.concatenate([np.ones(len(positive)), -np.ones(len(negative))])
    share = np.concatenate([np.full(len(positive), 0.5 / len(positive)), np.full(len(negative), 0.5 / len(negative))])
    weighted = rows * share[:, None]
    left = rows.T @ weighted + _RIDGE / len(rows) * np.eye(rows.shape[1])
    return np.linalg.solve(left, weighted.T @ targets).astype(np.float32)


class _Scorers:
    """The scorer of the present encoder, made at its first use."""

    def __init__(self) -> None:
        self._kept: tuple[Any, _Scorer] | None = None
        self._lock = threading.Lock()

    def get(self, call: Call) -> _Scorer:
        model = default_model("embedding").ref
        with self._lock:
            if self._kept is not None and self._kept[0] == model:
                return self._kept[1]
        vectors = vectors_of(call, [*HARMLESS, *(phrase for some in PHRASES.values() for phrase in some)])
        own, begin = {}, len(HARMLESS)
        for name, some in PHRASES.items():
            own[name] = vectors[begin : begin + len(some)]
            begin += len(some)
        made = _Scorer(own, vectors[: len(HARMLESS)])
        with self._lock:
            self._kept = (model, made)
        return made


_scorer = _Scorers()
