"""Enqueue, run, sweep and read durable jobs."""

from apps.jobs.services.enqueue import job_cancel, job_enqueue, job_get, jobs_get, jobs_hasten
from apps.jobs.services.fairness import job_pick
from apps.jobs.services.run import JobContext, job_end_hook, job_handler, job_kinds, job_run, process_stopping
from apps.jobs.services.sweep import jobs_sweep

__all__ = [
    "JobContext",
    "job_cancel",
    "job_end_hook",
    "job_enqueue",
    "job_get",
    "job_handler",
    "job_kinds",
    "job_pick",
    "job_run",
    "jobs_get",
    "jobs_hasten",
    "jobs_sweep",
    "process_stopping",
]
