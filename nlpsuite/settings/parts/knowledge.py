"""Limits of the knowledge base: what one source may bring, and how far a crawl goes."""

from __future__ import annotations

from nlpsuite.settings import env

KNOWLEDGE_MAX_FILE_BYTES = env.env_int("KNOWLEDGE_MAX_FILE_BYTES", 20 * 1024 * 1024)
KNOWLEDGE_MAX_REQUEST_BYTES = env.env_int("KNOWLEDGE_MAX_REQUEST_BYTES", 200 * 1024 * 1024)
KNOWLEDGE_MAX_FILES = env.env_int("KNOWLEDGE_MAX_FILES", 100)
KNOWLEDGE_MAX_CHUNKS = env.env_int("KNOWLEDGE_MAX_CHUNKS", 20_000)
KNOWLEDGE_CRAWL_MAX_PAGES = env.env_int("KNOWLEDGE_CRAWL_MAX_PAGES", 200)
KNOWLEDGE_CRAWL_MAX_DEPTH = env.env_int("KNOWLEDGE_CRAWL_MAX_DEPTH", 4)
KNOWLEDGE_CRAWL_MAX_BYTES = env.env_int("KNOWLEDGE_CRAWL_MAX_BYTES", 100 * 1024 * 1024)
KNOWLEDGE_CRAWL_MAX_SECONDS = env.env_int("KNOWLEDGE_CRAWL_MAX_SECONDS", 900)

DATA_UPLOAD_MAX_NUMBER_FILES = KNOWLEDGE_MAX_FILES
FILE_UPLOAD_HANDLERS = [
    "apps.knowledge.uploads.BoundedUploadHandler",
    "django.core.files.uploadhandler.MemoryFileUploadHandler",
    "django.core.files.uploadhandler.TemporaryFileUploadHandler",
]
