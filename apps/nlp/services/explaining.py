"""Token attributions of a classification, as results carry them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from apps.core.errors import AppError, Invalid
from apps.inference.services import explain_text
from apps.inference.types import Attribution, LinearHead
from apps.translation.types import Call, Outcome

# The name under which people know it: these are the values of SHAP's partition explainer.
METHOD = "shap-partition"
# Each text is some hundred runs of the model.
MAX_EXPLAINED = 16


def explain_outcomes(
    call: Call,
    texts: Sequence[str],
    outcomes: Sequence[dict[str, Any] | AppError],
    *,
    labels: Sequence[str],
    model: str = "",
    head: LinearHead | None = None,
) -> list[Outcome]:
    """Return the outcomes with what each word adds to the probability of the outcome's label.

    Adds:   `tokens` `[{"text", "start", "end", "weight"}]`, and `explanation` with the method, the label, and the
            probabilities without any word and with all: the weights sum to their difference.
    Errors: Invalid "too_many_explained" for more than 16 texts.
    """
    explained_check(texts)
    explained: list[Outcome] = []
    for text, outcome in zip(texts, outcomes, strict=True):
        if not isinstance(outcome, dict):
            explained.append(outcome)
            continue
        found = explain_text(
            text,
            tenant_id=call.tenant_id,
            target=list(labels).index(outcome["label"]),
            model=model,
            head=head,
            deadline_s=call.left_s(),
            priority=call.priority,
        )
        explained.append(outcome | explanation_fields(text, outcome["label"], found))
    return explained


def explained_check(texts: Sequence[str]) -> None:
    """Raise Invalid "too_many_explained" for more than 16 texts."""
    if len(texts) > MAX_EXPLAINED:
        raise Invalid(f"At most {MAX_EXPLAINED} texts can be explained at once.", code="too_many_explained")


def explanation_fields(text: str, label: str, found: Attribution) -> dict[str, Any]:
    """Return `tokens` and `explanation` of a label."""
    tokens = [
        {"text": text[word.start : word.end], "start": word.start, "end": word.end, "weight": round(word.weight, 5)}
        for word in found.words
    ]
    known = {"method": METHOD, "label": label, "base": round(found.base, 5), "value": round(found.value, 5)}
    return {"tokens": tokens, "explanation": known}
