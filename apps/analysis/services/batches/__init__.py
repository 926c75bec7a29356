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
    Upload,
    batch_create_from_file,
    batch_create_from_items,
    batch_start,
    batch_upload,
    upload_taken,
)
from apps.analysis.services.batches.run import batch_job_ended, batch_run

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
