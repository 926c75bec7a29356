"""Celery entry points of organisations."""

from __future__ import annotations

from celery import shared_task

from apps.tenants.pruning import retention_run


@shared_task
def retention_run_task() -> None:
    """Remove what is older than it is kept, as much as a few minutes allow."""
    retention_run()
