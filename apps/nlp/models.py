"""Classifiers that an organisation taught with examples: a head over the frozen sentence encoder."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models

from apps.core.bases import TenantModel

# The tables, constraints and indexes keep the names that they were made under, in the app `analysis`: processes of the
# version before read and write them, too.


class Classifier(TenantModel):
    """A name, its examples, and the version that answers."""

    name = models.CharField(max_length=80)
    active_version = models.PositiveIntegerField(default=0)
    last_version = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(TenantModel.Meta):
        db_table = "analysis_classifier"
        constraints = [
            models.UniqueConstraint(fields=["tenant_id", "id"], name="analysis_classifier_tenant_id_uniq"),
            models.UniqueConstraint(fields=["tenant_id", "name"], name="analysis_classifier_name"),
        ]


class ClassifierExample(TenantModel):
    """A text and the label that it should get."""

    classifier = models.ForeignKey(Classifier, on_delete=models.CASCADE, db_constraint=False, related_name="examples")
    text = models.CharField(max_length=4_000)
    label = models.CharField(max_length=60)
    digest = models.CharField(max_length=64)

    class Meta(TenantModel.Meta):
        db_table = "analysis_classifierexample"
        constraints = [
            models.UniqueConstraint(fields=["tenant_id", "classifier", "digest"], name="analysis_example_once")
        ]


class ClassifierVersion(TenantModel):
    """One training. `head` is safetensors; `embedding_*` say which encoder it belongs to."""

    class Status(models.TextChoices):
        TRAINING = "training"
        READY = "ready"
        FAILED = "failed"

    classifier = models.ForeignKey(Classifier, on_delete=models.CASCADE, db_constraint=False, related_name="versions")
    number = models.PositiveIntegerField()
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.TRAINING)
    labels = ArrayField(models.CharField(max_length=60), default=list)
    head = models.BinaryField(default=bytes)
    embedding_model = models.CharField(max_length=120, blank=True)
    embedding_revision = models.CharField(max_length=120, blank=True)
    examples_count = models.PositiveIntegerField(default=0)
    metrics = models.JSONField(default=dict)
    error_code = models.CharField(max_length=60, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True)

    class Meta(TenantModel.Meta):
        db_table = "analysis_classifierversion"
        constraints = [
            models.UniqueConstraint(fields=["tenant_id", "classifier", "number"], name="analysis_version_number")
        ]
