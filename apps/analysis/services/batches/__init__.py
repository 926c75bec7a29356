"""Batches: taking files and items in, the work on their rows, stopping and removing."""

from apps.analysis.services.batches.control import (
    DELETE,
    batch_cancel,
    batch_delete,
    batch_delete_run,
    batch_pause,
    batch_resume,
    batches_prune,
)
from apps.analysis.services.batches.create import (
    RUN,
    batch_create_from_file,
    batch_create_from_items,
    batch_start,
    batch_upload,
)
from apps.analysis.services.batches.run import batch_job_ended, batch_run

__all__ = [
    "DELETE",
    "RUN",
    "batch_cancel",
    "batch_create_from_file",
    "batch_create_from_items",
    "batch_delete",
    "batch_delete_run",
    "batch_job_ended",
    "batch_pause",
    "batch_resume",
    "batch_run",
    "batch_start",
    "batch_upload",
    "batches_prune",
]
