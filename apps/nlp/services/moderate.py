"""Whether a text should be looked at before it is shown: six kinds of harm, each with a threshold."""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any, Literal, get_args

import numpy as np
from pydantic import Field

from apps.core.errors import Invalid
from apps.inference.services import default_model, explain_score
from apps.nlp.services.explaining import explained_check, explanation_fields
from apps.nlp.services.heads import vectors_of
from apps.nlp.services.moderation_phrases import HARMLESS, PHRASES
from apps.nlp.services.segments import sentences_of
from apps.tenants.selectors import organization_settings
from apps.translation.types import Call, Options, Outcome

Category = Literal["toxicity", "insult", "threat", "spam", "self_harm", "prompt_injection"]
CATEGORIES: tuple[str, ...] = get_args(Category)
MODEL = "moderation-1"
THRESHOLD = 0.5
_MAX_SENTENCES = 64
# Of a longer text, the sentences that weigh most are explained, each from its beginning: an explanation tells 160 apart.
_EXPLAINED_WORDS, _EXPLAINED_CHARS = 150, 1_000
_WORD = re.compile(r"\w+|[^\w\s]+")
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
    """`thresholds` by category, over those of the organisation; `explain`: by word what is flagged, or `category`."""

    thresholds: dict[str, Share] = Field(default={}, max_length=len(CATEGORIES))
    explain: bool = False
    category: Category | None = None


def run(call: Call, texts: Sequence[str], options: ModerateOptions) -> list[Outcome]:
    """Return `{"flagged", "categories": {name: {"score", "flagged"}}, "thresholds", "truncated"}` for each text.

    The score of a category is that of its worst sentence. Of a text of more than 64 sentences, the others are searched for
    fixed words alone, and `truncated` says so. English; texts in other languages get what few fixed words say.
    With `explain` also `explanations`, by category `tokens` and `explanation`, highest score first; those of the first
    are the result's own `tokens` and `explanation`. Where nothing is flagged, the highest category is explained.
    Errors: Invalid "category_unknown", "too_many_explained".
    """
    unknown = sorted(set(options.thresholds) - set(CATEGORIES))
    if unknown:
        raise Invalid(f"There is no category {unknown[0]!r}.", code="category_unknown", details=list(CATEGORIES))
    if options.explain:
        explained_check(texts)
    kept = organization_settings(tenant_id=call.tenant_id)["moderation_thresholds"]
    limits = dict.fromkeys(CATEGORIES, THRESHOLD) | kept | options.thresholds
    judge = _Judge(call)
    outcomes = [
        _result(shares, limits) | {"truncated": len(sentences_of(text)) > _MAX_SENTENCES}
        for text, shares in zip(texts, judge.shares(texts), strict=True)
    ]
    if options.explain:
        return [_explained(judge, text, one, options) for text, one in zip(texts, outcomes, strict=True)]
    return list(outcomes)


def _result(shares: Any, limits: dict[str, float]) -> dict[str, Any]:
    found = {name: float(share) for name, share in zip(CATEGORIES, shares, strict=True)}
    categories = {name: {"score": round(share, 4), "flagged": share >= limits[name]} for name, share in found.items()}
    return {
        "flagged": any(one["flagged"] for one in categories.values()),
        "categories": categories,
        "thresholds": limits,
    }


class _Judge:
    """Scores texts for one call; a sentence that comes again, in a text or in its explanation, is asked once."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._known: dict[str, Any] = {}

    def shares(self, texts: Sequence[str]) -> Any:
        """Return float64 (n, categories) in 0..1."""
        parts = [[text[a:b] for a, b in sentences_of(text)[:_MAX_SENTENCES]] or [text] for text in texts]
        rows = iter(self.sentences([part for row in parts for part in row]))
        shares = np.stack([np.max([next(rows) for _ in row], axis=0) for row in parts]).astype(float)
        for index, text in enumerate(texts):
            for column, least, _ in _found_patterns(text):
                shares[index, column] = max(shares[index, column], least)
        return shares

    def sentences(self, sentences: Sequence[str]) -> Any:
        """Return float32 (n, categories) without what patterns say."""
        fresh = [one for one in dict.fromkeys(sentences) if one not in self._known]
        if fresh:
            self._known |= zip(fresh, _scorer.get(self._call).scores(vectors_of(self._call, fresh)), strict=True)
        return np.stack([self._known[one] for one in sentences])

    def of(self, category: str, texts: Sequence[str]) -> Any:
        """Return float64 (n,): the scores of one category."""
        return self.shares(texts)[:, CATEGORIES.index(category)]


def _found_patterns(text: str) -> list[tuple[int, float, re.Match[str]]]:
    """Return the column of the category, its least score and the place, for each pattern that the text has."""
    tried = [(name, least, pattern.search(text)) for name, least, pattern in _PATTERNS]
    return [(CATEGORIES.index(name), least, found) for name, least, found in tried if found]


def _explained(judge: _Judge, text: str, outcome: dict[str, Any], options: ModerateOptions) -> dict[str, Any]:
    """Return the outcome with what each word adds to the score of what is flagged, or of the category asked for."""
    found = outcome["categories"]
    order = sorted(CATEGORIES, key=lambda name: -found[name]["score"])
    names = [name for name in order if found[name]["flagged"]] or order[:1]
    if options.category:
        names = [options.category]
    explanations = {
        name: explanation_fields(text, name, explain_score(partial(judge.of, name), _telling(judge, text, name)))
        for name in names
    }
    return outcome | explanations[names[0]] | {"explanations": explanations}


def _telling(judge: _Judge, text: str, category: str) -> str:
    """Return the text; of a long one the sentences that weigh most, in their places, and line ends for all else."""
    if len(text) <= _EXPLAINED_CHARS and len(_WORD.findall(text)) <= _EXPLAINED_WORDS:
        return text
    spans = sentences_of(text)[:_MAX_SENTENCES] or [(0, len(text))]
    column = CATEGORIES.index(category)
    weights = judge.sentences([text[start:end] for start, end in spans])[:, column]
    for index, least, match in _found_patterns(text):
        overlapping = [match.start() < end and start < match.end() for start, end in spans]
        if index == column:
            weights = np.where(overlapping, np.maximum(weights, least), weights)
    kept, left = ["\n"] * len(text), _EXPLAINED_WORDS
    for place in np.argsort(-weights, kind="stable"):
        start, end = spans[place]
        words = [word.end() for word in _WORD.finditer(text, start, min(end, start + _EXPLAINED_CHARS))][:left]
        end = max(words, default=start)
        kept[start:end] = text[start:end]
        left -= len(words)
    return "".join(kept)


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
