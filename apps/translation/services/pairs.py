"""Which languages can be translated into which, and by which model of the catalogue."""

from __future__ import annotations

import re
from dataclasses import dataclass

from babel import Locale

from apps.core.errors import Invalid, Unavailable
from apps.inference.services import default_model, model_list, model_of
from apps.inference.types import ModelInfo


@dataclass(frozen=True, slots=True)
class Pair:
    """Two languages as the model names them; `model` translates from the first into the second."""

    source: str
    target: str
    model: str


def language_base(code: str) -> str:
    """Return "pt" for "pt", "pt-BR" and "PT_br"."""
    return re.split(r"[-_]", code.strip().lower())[0]


def pairs_list() -> list[Pair]:
    """Return every pair that a model of this installation names, those of the default model first."""
    return [Pair(source, target, model.name) for model in _translators() for source, target in model.languages]


def pair_find(source: str, target: str, *, model: str = "") -> Pair:
    """Return the pair that fits, of `model` or of the first model that has it.

    A model that names no pairs (NLLB, M2M100) is asked as it is, and says itself what it does not know.
    Errors: Invalid "language_pair_unknown", whose details are the pairs that there are; NotFound, Invalid "model_role".
    """
    models = [model_of("translator", model)] if model else _translators()
    wanted = language_base(source), language_base(target)
    for one in models:
        for pair in one.languages:
            if (language_base(pair[0]), language_base(pair[1])) == wanted:
                return Pair(pair[0], pair[1], one.name)
    for one in models:
        if not one.languages:
            return Pair(source, target, one.name)
    if not models:
        raise Unavailable("This installation has no translator model.", code="no_default_model")
    known = [f"{pair[0]}-{pair[1]}" for one in models for pair in one.languages]
    raise Invalid(
        f"There is no translation from {source} to {target}. There are: {', '.join(known)}.",
        code="language_pair_unknown",
        details={"pairs": known},
    )


def sources_for(target: str, *, model: str = "") -> list[str] | None:
    """Return the languages that can be translated into `target`, or None where a model takes any."""
    models = [model_of("translator", model)] if model else _translators()
    if any(not one.languages for one in models):
        return None
    found = {
        language_base(p[0]) for one in models for p in one.languages if language_base(p[1]) == language_base(target)
    }
    return sorted(found)


def _translators() -> list[ModelInfo]:
    """Return the translators, the default first."""
    found = [model for model in model_list() if model.role == "translator"]
    try:
        default = default_model("translator").name
    except Unavailable:
        default = ""
    return sorted(found, key=lambda model: (model.name != default, model.name))


def languages_targets() -> dict[str, list[str]]:
    """Return {language: languages it can be translated into}, as the models' pairs name them."""
    found: dict[str, list[str]] = {}
    for pair in pairs_list():
        found.setdefault(pair.source, [])
        found.setdefault(pair.target, [])
        if pair.target not in found[pair.source]:
            found[pair.source].append(pair.target)
    return found


def language_known(code: str) -> bool:
    """Return whether some model may know a language; one that names no pairs may know any."""
    if any(not model.languages for model in _translators()):
        return True
    return language_base(code) in {language_base(one) for one in languages_targets()}


def language_name(code: str) -> str:
    """Return the English name of a language, or its code."""
    return str(
        Locale("en").languages.get(code.replace("-", "_")) or Locale("en").languages.get(language_base(code), code)
    )
