"""Which label fits a text: labels given with the call, an organisation's own classifier, or the intents of support."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from apps.core.errors import Invalid
from apps.inference.services import default_model
from apps.nlp.access import access_classifier_head
from apps.nlp.services.explaining import explain_outcomes
from apps.nlp.services.heads import head_probabilities, prototypes, vectors_of
from apps.nlp.services.intents import SUPPORT_INTENTS
from apps.nlp.types import ClassifierHead
from apps.translation.types import Call, Options, Outcome

INTENTS = "support-intents"
MAX_LABELS = 50
Label = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=60)]
# What turns a difference of cosines into odds, for labels as bare words and for phrases (docs/guide/nlp-quality.md).
_SCALE_WORDS = 18.0
_SCALE_PHRASES = 16.0


class ClassifyOptions(Options):
    """Either `labels` (zero-shot; `descriptions` say more about some of them) or `classifier` (name or id).

    Neither: the intents of support messages. `version` asks an older version of a classifier; `explain`: by word.
    """

    labels: list[Label] = Field(default=[], max_length=MAX_LABELS)
    descriptions: dict[Label, Annotated[str, StringConstraints(max_length=300)]] = Field(
        default={}, max_length=MAX_LABELS
    )
    classifier: str = Field(default="", max_length=80)
    version: int = Field(default=0, ge=0, le=1_000_000)
    explain: bool = False


def model_of(options: ClassifyOptions) -> str:
    """Return the name of what answers."""
    return default_model("embedding").name if options.labels else (options.classifier or INTENTS)


def run(call: Call, texts: Sequence[str], options: ClassifyOptions) -> list[Outcome]:
    """Return `{"label", "scores"}` for each text; scores sum to 1.

    Errors: Invalid "labels_invalid", NotFound "classifier_not_found", Conflict "classifier_not_ready".
    """
    found = _head(call, options)
    shares = head_probabilities(vectors_of(call, texts, model=found.model), found.head)
    outcomes: list[Outcome] = [_result(found.labels, row) for row in shares]
    if options.explain:
        return explain_outcomes(call, texts, outcomes, labels=found.labels, model=found.model, head=found.head)
    return outcomes


def _result(labels: Sequence[str], row: Any) -> dict[str, Any]:
    scores = {label: round(float(share), 4) for label, share in zip(labels, row, strict=True)}
    return {"label": labels[int(row.argmax())], "scores": scores}


def _head(call: Call, options: ClassifyOptions) -> ClassifierHead:
    if options.labels and options.classifier:
        raise Invalid("Give either labels or a classifier.", code="labels_invalid")
    if options.labels:
        return _zero_shot(call, options)
    if options.classifier in {"", INTENTS}:
        return ClassifierHead(tuple(SUPPORT_INTENTS), prototypes.get(call, SUPPORT_INTENTS, scale=_SCALE_PHRASES))
    return access_classifier_head(tenant_id=call.tenant_id, reference=options.classifier, version=options.version)


def _zero_shot(call: Call, options: ClassifyOptions) -> ClassifierHead:
    labels = options.labels
    if len(set(labels)) != len(labels) or len(labels) < 2:
        raise Invalid("Give at least two different labels.", code="labels_invalid")
    unknown = sorted(set(options.descriptions) - set(labels))
    if unknown:
        raise Invalid("A description belongs to no label.", code="labels_invalid", details={"unknown": unknown})
    phrases = {label: _phrases(label, options.descriptions.get(label, "")) for label in labels}
    return ClassifierHead(tuple(labels), prototypes.get(call, phrases, scale=_SCALE_WORDS))


def _phrases(label: str, description: str) -> tuple[str, ...]:
    """Return sentences that a text of this label would be near to: several frames are steadier than the bare word."""
    frames = (label, f"This is about {label}.", f"A message about {label}.")
    return (*frames, description) if description else frames
