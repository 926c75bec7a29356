"""Making, re-reading and removing sources."""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import PurePath
from typing import IO, Any, Protocol

from django.conf import settings
from django.core.files.base import ContentFile, File
from django.core.files.storage import default_storage
from django.db import transaction

from apps.core.egress import url_check
from apps.core.errors import Conflict, Invalid, TooLarge
from apps.core.ids import new_id
from apps.core.tenancy import tenant_scope
from apps.documents.errors import ExtractError
from apps.events.services import audit_record, event_record
from apps.jobs.services import job_cancel, job_enqueue
from apps.knowledge.access import access_source_by_id
from apps.knowledge.extract.clean import clean_line
from apps.knowledge.extract.sniff import sniff
from apps.knowledge.models import Source, SourceFile
from apps.knowledge.selectors import source_get
from apps.knowledge.types import SourceInfo, SourceKind, SourceStatus

INGEST = "knowledge.source_ingest"
FILES_DELETE = "knowledge.files_delete"
MAX_TEXT_CHARS = 2_000_000

_COLLECTION = re.compile(r"[a-z0-9][a-z0-9_-]{0,59}")


class Upload(Protocol):
    """What an uploaded file must offer; Django's `UploadedFile` does."""

    name: str | None

    def chunks(self) -> Iterable[bytes]: ...


def collection_clean(collection: str | None) -> str:
    """Return the collection's slug, `default` when none is given. Raises Invalid "collection_invalid"."""
    slug = (collection or "").strip().lower() or "default"
    if not _COLLECTION.fullmatch(slug):
        raise Invalid("A collection is named by 1 to 60 of a-z, 0-9, - and _.", code="collection_invalid")
    return slug


def file_name_clean(name: str) -> str:
    """Return the last part of a name that a stranger chose, for display only: at most 200 characters, suffix kept."""
    base = clean_line(name.replace("\\", "/")).replace("\n", " ").rsplit("/", 1)[-1].strip(". ")
    if len(base) > 200:
        suffix = PurePath(base).suffix[:12]
        base = base[: 200 - len(suffix)] + suffix
    return base or "file"


def source_create_from_files(
    *, tenant_id: uuid.UUID, files: Sequence[Any], collection: str | None = None, actor: str = ""
) -> SourceInfo:
    """Store the files, write the source and enqueue its reading.

    Each file is an `Upload`. Limits: KNOWLEDGE_MAX_FILES files of KNOWLEDGE_MAX_FILE_BYTES.
    Errors: Invalid (file_missing, file_empty, too_many_files, unsupported_type when no file is readable), TooLarge.
    Effects: files under `{tenant}/` in the default storage, rows, a job, an audit row.
    """
    if not files:
        raise Invalid("At least one file is needed.", code="file_missing")
    if len(files) > settings.KNOWLEDGE_MAX_FILES:
        raise Invalid(f"At most {settings.KNOWLEDGE_MAX_FILES} files at a time.", code="too_many_files")
    slug = collection_clean(collection)
    rows: list[SourceFile] = []
    try:
        _refuse_unreadable(files)
        rows.extend(_store(tenant_id, upload) for upload in files)
        name = rows[0].name if len(rows) == 1 else f"{rows[0].name} +{len(rows) - 1}"
        source = Source(kind=SourceKind.FILE, name=name[:300], collection=slug, created_by=actor)
        return _save(tenant_id, source, rows, actor)
    except BaseException:
        _files_delete([row.storage_name for row in rows])
        raise


def source_create_from_url(
    *, tenant_id: uuid.UUID, url: str, collection: str | None = None, actor: str = ""
) -> SourceInfo:
    """Write a source for the page at `url` and those below it, and enqueue the crawl.

    Raises Invalid "address_refused" at once for addresses that can be judged by reading them.
    """
    checked = url_check(url.strip())
    source = Source(
        kind=SourceKind.URL, name=checked[:300], url=checked, collection=collection_clean(collection), created_by=actor
    )
    return _save(tenant_id, source, [], actor)


def source_create_from_text(
    *, tenant_id: uuid.UUID, title: str, text: str, collection: str | None = None, actor: str = ""
) -> SourceInfo:
    """Write a source for pasted text (Markdown is understood) and enqueue its reading. Raises Invalid, TooLarge."""
    if not text.strip():
        raise Invalid("The text is empty.", code="text_missing")
    if len(text) > MAX_TEXT_CHARS:
        raise TooLarge(f"A text has at most {MAX_TEXT_CHARS} characters.")
    slug = collection_clean(collection)
    name = clean_line(title).replace("\n", " ")[:200] or "Text"
    body = text.replace("\x00", "").encode("utf-8", "replace")
    row = _store(tenant_id, _NamedContent(body, name=name))
    row.name = name
    source = Source(kind=SourceKind.TEXT, name=name, collection=slug, created_by=actor)
    try:
        return _save(tenant_id, source, [row], actor)
    except BaseException:
        _files_delete([row.storage_name])
        raise


def source_reingest(*, tenant_id: uuid.UUID, source_id: object, actor: str = "") -> SourceInfo:
    """Enqueue another reading; the present passages stay searchable until the new ones are ready.

    Raises NotFound, Conflict "source_busy" while a reading is under way.
    """
    with tenant_scope(tenant_id):
        source = access_source_by_id(tenant_id, source_id, lock=True)
        if source.status in (SourceStatus.QUEUED, SourceStatus.RUNNING):
            raise Conflict("The source is being read already.", code="source_busy")
        _enqueue(tenant_id, source)
        audit_record(action="source.reingested", actor=actor, target=str(source.id))
    return source_get(tenant_id=tenant_id, source_id=source.id)


def source_delete(*, tenant_id: uuid.UUID, source_id: object, actor: str = "") -> None:
    """Remove a source, its documents, passages and vectors, and its stored files. Raises NotFound.

    Files go after the commit, and by a job as well, so that a process that ends in between leaves none behind.
    """
    with tenant_scope(tenant_id):
        source = access_source_by_id(tenant_id, source_id, lock=True)
        names = list(SourceFile.objects.filter(source=source).values_list("storage_name", flat=True))
        if source.job_id:
            job_cancel(tenant_id=tenant_id, job_id=source.job_id)
        source_id = source.id
        # The database's own cascades remove files, documents and chunks: no row is loaded.
        Source.objects.filter(id=source.id)._raw_delete("default")
        if names:
            job_enqueue(tenant_id=tenant_id, kind=FILES_DELETE, payload={"names": names})
            transaction.on_commit(partial(_files_delete, names))
        event_record(type="source.deleted", subject_type="source", subject_id=source.id, actor=actor)
        audit_record(action="source.deleted", actor=actor, target=str(source.id), data={"name": source.name})


class _NamedContent(ContentFile):
    """Bytes that behave like an upload."""


def _refuse_unreadable(files: Sequence[Any]) -> None:
    """Refuse at once when no file is of a known kind; among several the odd one out is a problem of the source."""
    refused: ExtractError | None = None
    for upload in files:
        head = next(iter(upload.chunks()), b"")[:65536]
        upload.seek(0)
        try:
            sniff(head, upload.name or "")
            return
        except ExtractError as error:
            refused = error
    if refused is not None:
        raise Invalid(refused.message, code=refused.code)


def _store(tenant_id: uuid.UUID, upload: Any) -> SourceFile:
    """Copy an upload into the storage under a generated name, counting while reading. Raises TooLarge, Invalid."""
    limit = settings.KNOWLEDGE_MAX_FILE_BYTES
    digest, size = hashlib.sha256(), 0
    for block in upload.chunks():
        size += len(block)
        if size > limit:
            raise TooLarge(f"A file has at most {limit // (1024 * 1024)} MiB.", details={"max_bytes": limit})
        digest.update(block)
    name = file_name_clean(str(upload.name or ""))
    if not size:
        raise Invalid("The file is empty.", code="file_empty", details={"name": name})
    upload.seek(0)
    stored = default_storage.save(f"{tenant_id}/{new_id()}", _plain_file(upload))
    return SourceFile(name=name, storage_name=stored, size_bytes=size, sha256=digest.hexdigest())


def _plain_file(upload: Any) -> File:
    inner: IO[bytes] = getattr(upload, "file", upload)
    return File(inner, name="file")


def _save(tenant_id: uuid.UUID, source: Source, rows: Sequence[SourceFile], actor: str) -> SourceInfo:
    with tenant_scope(tenant_id):
        source.size_bytes = sum(row.size_bytes for row in rows)
        source.save()
        for row in rows:
            row.source = source
            row.save()
        _enqueue(tenant_id, source)
        audit_record(
            action="source.created",
            actor=actor,
            target=str(source.id),
            data={"kind": str(source.kind), "name": source.name, "collection": source.collection},
        )
    return source_get(tenant_id=tenant_id, source_id=source.id)


def _enqueue(tenant_id: uuid.UUID, source: Source) -> None:
    source.job_id = job_enqueue(tenant_id=tenant_id, kind=INGEST, payload={"source_id": str(source.id)})
    source.status, source.error_code, source.error_message = SourceStatus.QUEUED, "", ""
    source.save(update_fields=["job_id", "status", "error_code", "error_message"])


def _files_delete(names: Iterable[str]) -> None:
    for name in names:
        default_storage.delete(name)


def files_delete(*, tenant_id: uuid.UUID, names: Sequence[str]) -> None:
    """Remove stored files of a tenant; those already gone are no error. Names of other tenants are left alone."""
    _files_delete(name for name in names if name.startswith(f"{tenant_id}/"))
