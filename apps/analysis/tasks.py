"""Celery entry points of analysis."""

from __future__ import annotations

from celery import shared_task

from apps.analysis.services.batches import batches_prune


@shared_task
def batches_prune_task() -> None:
    """Remove batches that are older than their organisation keeps them."""
    batches_prune()
