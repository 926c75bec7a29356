"""The long work of this app, and the events that it records."""

from __future__ import annotations

from apps.batches.services import DELETE, RUN, batch_delete_run, batch_job_ended, batch_run
from apps.events.services import event_declare
from apps.jobs.services import job_end_hook, job_handler

event_declare("batch.finished", "batch.failed")
job_handler(RUN)(batch_run)
job_end_hook(RUN)(batch_job_ended)
job_handler(DELETE)(batch_delete_run)
