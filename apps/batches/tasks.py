"""Celery entry points of batches. They keep the names under which beats and workers of the version before know them."""

from __future__ import annotations

from celery import shared_task

from apps.batches.services import batches_prune


@shared_task(name="apps.analysis.tasks.batches_prune_task")
def batches_prune_task() -> None:
    """Remove batches that are older than their organisation keeps them."""
    batches_prune()
