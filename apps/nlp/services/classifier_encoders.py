"""Heads of classifiers belong to an encoder: when another becomes the default, they are trained again over it."""

from __future__ import annotations

import uuid

from apps.core.tenancy import tenant_scope
from apps.inference.services import default_model
from apps.inference.types import ModelRef
from apps.jobs.services import job_enqueue
from apps.nlp.models import Classifier, ClassifierVersion
from apps.nlp.services.classifiers import TRAIN
from apps.tenants.selectors import organization_ids


def classifiers_follow() -> int:
    """Have every classifier trained that has no version over the default encoder; returns how many jobs were made.

    The active version answers until then, with the encoder that it was trained over. One whose last training failed is
    left to its organisation, and so is one that was set back to an older version.
    """
    encoder = default_model("embedding").ref
    return sum(_organization(tenant_id, encoder) for tenant_id in organization_ids())


def _organization(tenant_id: uuid.UUID, encoder: ModelRef) -> int:
    started = 0
    with tenant_scope(tenant_id):
        over = ClassifierVersion.objects.filter(
            status="ready", embedding_model=encoder.name, embedding_revision=encoder.revision
        )
        behind = Classifier.objects.filter(active_version__gt=0).exclude(id__in=over.values("classifier_id"))
        for classifier in behind.select_for_update():
            last = classifier.versions.order_by("-number").first()
            if last is None or last.status != ClassifierVersion.Status.READY:
                continue
            classifier.last_version += 1
            classifier.save(update_fields=["last_version"])
            classifier.versions.create(number=classifier.last_version, labels=last.labels)
            payload = {"classifier_id": str(classifier.id), "number": classifier.last_version}
            job_enqueue(tenant_id=tenant_id, kind=TRAIN, payload=payload)
            started += 1
    return started
