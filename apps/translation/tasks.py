"""Celery entry points of translation. They keep the names under which beats and workers of the version before know them."""

from __future__ import annotations

from celery import shared_task

from apps.translation.services.documents import documents_prune
from apps.translation.services.memory import memory_terms_follow


@shared_task(name="apps.analysis.tasks.documents_prune_task")
def documents_prune_task() -> None:
    """Remove translated documents that are older than a week."""
    documents_prune()


@shared_task(name="apps.analysis.tasks.memory_terms_follow_task")
def memory_terms_follow_task() -> None:
    """Write the terms of approved translations that have none."""
    memory_terms_follow()
