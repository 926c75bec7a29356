"""From a name or id that a caller gives to what it means. Foreign and missing look the same."""

from __future__ import annotations

import uuid

from safetensors.numpy import load

from apps.core.errors import Conflict, NotFound
from apps.core.ids import parse_id
from apps.core.tenancy import tenant_scope
from apps.inference.services import space_model
from apps.inference.types import LinearHead, ModelRef
from apps.nlp.models import Classifier, ClassifierVersion
from apps.nlp.types import ClassifierHead


def access_classifier_by_reference(*, reference: str) -> Classifier:
    """Return a classifier by its id or name, in the open scope. Raises NotFound "classifier_not_found"."""
    parsed = parse_id(reference)
    found = Classifier.objects.filter(id=parsed).first() if parsed else None
    found = found or Classifier.objects.filter(name=reference.replace("\x00", "")[:80]).first()
    if found is None:
        raise NotFound("There is no such classifier.", code="classifier_not_found")
    return found


def access_classifier_head(*, tenant_id: uuid.UUID, reference: str, version: int = 0) -> ClassifierHead:
    """Return labels and head of a classifier's active or given version, and the encoder that it was trained over.

    Errors: NotFound "classifier_not_found", Conflict "classifier_not_ready" (nothing trained yet, or over an encoder that
            is not installed any more: train it again).
    """
    with tenant_scope(tenant_id):
        classifier = access_classifier_by_reference(reference=reference)
        number = version or classifier.active_version
        row = ClassifierVersion.objects.filter(classifier=classifier, number=number).first()
        if version and row is None:
            raise NotFound("There is no such version.", code="classifier_not_found")
    if row is None or row.status != "ready":
        raise Conflict("This classifier is not trained yet.", code="classifier_not_ready")
    encoder = space_model(ModelRef(row.embedding_model, row.embedding_revision).space)
    if encoder is None:
        raise Conflict("This classifier belongs to another encoder; train it again.", code="classifier_not_ready")
    tensors = load(bytes(row.head))
    return ClassifierHead(tuple(row.labels), LinearHead(tensors["weights"], tensors["bias"]), encoder.name)
