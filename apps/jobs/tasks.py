"""Celery entry points of durable work."""

from __future__ import annotations

from uuid import UUID

from celery import shared_task

from apps.jobs.services import job_run, jobs_sweep


@shared_task
def job_run_task(job_id: str) -> None:
    """Run one job if it can be claimed."""
    job_run(UUID(job_id))


@shared_task
def job_sweep_task() -> None:
    """Hint again at jobs that nobody holds."""
    jobs_sweep()
