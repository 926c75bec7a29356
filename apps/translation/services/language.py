"""Which language a text is in."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import cache
from typing import Any

from py3langid.langid import MODEL_FILE, LanguageIdentifier

from apps.translation.services.language_walk import LanguageWalk
from apps.translation.types import Call, Options, Outcome

MODEL = "py3langid-0.4.0"
# The share of a text that decides; more changes nothing and takes longer.
_MAX_CHARS = 4_000
# Texts that are read side by side: 1 MB at most.
_AT_ONCE = 256


class LanguageOptions(Options):
    """None."""


@cache
def _walk() -> LanguageWalk:
    return LanguageWalk(_identifier())


@cache
def _identifier() -> Any:
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def language_of(text: str) -> tuple[str, float]:
    """Return the ISO 639-1 code of the likeliest language and its probability; ("und", 0.0) without a letter."""
    cut = text[:_MAX_CHARS]
    if not any(character.isalpha() for character in cut):
        return "und", 0.0
    code, probability = _identifier().classify(cut)
    return str(code), round(float(probability), 4)


def languages_of(texts: Sequence[str]) -> list[tuple[str, float]]:
    """Return what `language_of` returns for each text, four times as fast for many."""
    found: list[tuple[str, float]] = [("und", 0.0)] * len(texts)
    cuts = [text[:_MAX_CHARS] for text in texts]
    written = [index for index, cut in enumerate(cuts) if any(character.isalpha() for character in cut)]
    for begin in range(0, len(written), _AT_ONCE):
        chosen = written[begin : begin + _AT_ONCE]
        walk = _walk()
        shares = walk.probabilities([cuts[index] for index in chosen])
        best = shares.argmax(axis=1)
        for row, index in enumerate(chosen):
            found[index] = walk.languages[best[row]], round(float(shares[row, best[row]]), 4)
    return found


def language_among(text: str, codes: Collection[str]) -> tuple[str, float]:
    """Return the likeliest of `codes` and its share of their probability; ("und", 0.0) without a letter."""
    cut = text[:_MAX_CHARS]
    if not codes or not any(character.isalpha() for character in cut):
        return "und", 0.0
    ranked = [(str(code), float(probability)) for code, probability in _identifier().rank(cut) if code in codes]
    total = sum(probability for _, probability in ranked)
    return (ranked[0][0], round(ranked[0][1] / total, 4)) if total else ("und", 0.0)


def run(call: Call, texts: Sequence[str], options: LanguageOptions) -> list[Outcome]:
    """Return `{"language", "confidence"}` for each text."""
    return [{"language": code, "confidence": probability} for code, probability in languages_of(texts)]
