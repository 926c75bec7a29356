"""Sources in, passages out."""

from apps.knowledge.services.ingest import source_ingest, source_job_ended
from apps.knowledge.services.links import passage_link
from apps.knowledge.services.reading import document_read, page_read
from apps.knowledge.services.sources import (
    FILES_DELETE,
    INGEST,
    files_delete,
    source_create_from_files,
    source_create_from_text,
    source_create_from_url,
    source_delete,
    source_reingest,
)

__all__ = [
    "FILES_DELETE",
    "INGEST",
    "document_read",
    "files_delete",
    "page_read",
    "passage_link",
    "source_create_from_files",
    "source_create_from_text",
    "source_create_from_url",
    "source_delete",
    "source_ingest",
    "source_job_ended",
    "source_reingest",
]
