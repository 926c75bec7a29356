"""Limits of batches."""

from __future__ import annotations

from nlpsuite.settings import env

BATCH_MAX_FILE_BYTES = env.env_int("BATCH_MAX_FILE_BYTES", 1024**3)
# Where files of this size may be sent; everywhere else the limits of the knowledge base hold.
BATCH_UPLOAD_PATHS = ("/api/v1/jobs",)
