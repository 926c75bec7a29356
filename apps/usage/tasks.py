"""Celery entry points of usage."""

from __future__ import annotations

from celery import shared_task

from apps.usage.services import idempotency_prune


@shared_task
def idempotency_prune_task() -> None:
    """Forget idempotency records after a day."""
    idempotency_prune()
