"""Celery entry points of organisations."""

from __future__ import annotations

from celery import shared_task

from apps.tenants.pruning import retention_run
from apps.tenants.sweeping import files_sweep


@shared_task
def retention_run_task() -> None:
    """Remove what is older than it is kept, as much as a few minutes allow."""
    retention_run()


@shared_task
def files_sweep_task() -> None:
    """Remove stored files that no row means."""
    files_sweep()
