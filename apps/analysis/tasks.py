"""Celery entry points of analysis."""

from __future__ import annotations

from celery import shared_task

from apps.analysis.services.batches import batches_prune
from apps.analysis.services.classifier_encoders import classifiers_follow
from apps.analysis.services.documents import documents_prune
from apps.analysis.services.memory import memory_terms_follow


@shared_task
def batches_prune_task() -> None:
    """Remove batches that are older than their organisation keeps them."""
    batches_prune()


@shared_task
def classifiers_follow_task() -> None:
    """Have classifiers trained over the default encoder."""
    classifiers_follow()


@shared_task
def documents_prune_task() -> None:
    """Remove translated documents that are older than a week."""
    documents_prune()


@shared_task
def memory_terms_follow_task() -> None:
    """Write the terms of approved translations that have none."""
    memory_terms_follow()
