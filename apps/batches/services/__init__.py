"""Batches: taking files and items in, the work on their rows, stopping and removing."""

from apps.batches.services.control import (
    DELETE,
    batch_cancel,
    batch_delete,
    batch_delete_run,
    batch_pause,
    batch_resume,
    batches_prune,
)
from apps.batches.services.create import (
    RUN,
    Upload,
    batch_create_from_file,
    batch_create_from_items,
    batch_start,
    batch_upload,
    upload_taken,
)
from apps.batches.services.run import batch_job_ended, batch_run

__all__ = [
    "Upload",
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
    "upload_taken",
    "batches_prune",
]
