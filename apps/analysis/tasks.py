"""Celery entry points of analysis."""

from __future__ import annotations

from celery import shared_task

from apps.analysis.services.batches import batches_prune
from apps.analysis.services.classifier_encoders import classifiers_follow


@shared_task
def batches_prune_task() -> None:
    """Remove batches that are older than their organisation keeps them."""
    batches_prune()


@shared_task
def classifiers_follow_task() -> None:
    """Have classifiers trained over the default encoder."""
    classifiers_follow()
