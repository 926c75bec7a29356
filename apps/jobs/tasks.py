"""Celery entry points of durable work."""

from __future__ import annotations

from uuid import UUID

from celery import shared_task

from apps.jobs.services import job_pick, job_run, jobs_sweep


@shared_task
def job_run_task(job_id: str) -> None:
    """Run the job that is fair now: the hinted one, or one of an organisation that has fewer running."""
    job_run(job_pick(UUID(job_id)))


@shared_task
def job_sweep_task() -> None:
    """Hint again at jobs that nobody holds."""
    jobs_sweep()
