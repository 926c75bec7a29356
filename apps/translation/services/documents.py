"""Documents in, the same documents in another language out: stored, translated by a job, removed after a week."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import IO, Any

from django.core import signing
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models import Q
from django.urls import reverse
from pydantic import ValidationError

from apps.core.clock import now
from apps.core.errors import Conflict, Invalid, NotFound, RateLimited, TooLarge
from apps.core.ids import new_id
from apps.core.pagination import paginate
from apps.core.tenancy import tenant_scope
from apps.events.services import audit_record
from apps.jobs.services import JobContext, job_cancel, job_enqueue, jobs_get
from apps.jobs.types import JobInfo
from apps.knowledge.services import FILES_DELETE
from apps.tenants.selectors import organization_ids
from apps.translation.access import access_document_by_id
from apps.translation.markup.box import BoxedDocument
from apps.translation.markup.documents import FORMATS, Document, DocumentRefused, format_of
from apps.translation.markup.marks import Parts
from apps.translation.models import TranslatedDocument
from apps.translation.services.pairs import language_base, pair_find
from apps.translation.services.translate import TranslateOptions, segments_translate, source_detect
from apps.translation.types import Call
from apps.usage.services.tokens import tokens_add, tokens_check

# Kept from the app that it came from: jobs that wait, and processes of the version before, know it by this name.
TRANSLATE = "analysis.document_translate"
MAX_BYTES = 10 * 1024 * 1024
# Of one organisation: kept, and not finished.
MAX_KEPT, MAX_OPEN = 500, 20
KEPT = timedelta(days=7)
# What goes to the model before the job looks whether it should stop: so many characters, and marks for as many.
_SLICE_CHARS, _MARK_CHARS = 40_000, 40
_SLICE_DEADLINE_S = 600.0
_signer = signing.TimestampSigner(salt="translated-document")


@dataclass(frozen=True, slots=True)
class DocumentInfo:
    """A document as its organisation sees it. `progress` is 0..1; `detected` is the language that was found."""

    id: str
    name: str
    format: str
    source: str
    target: str
    detected: str
    status: str
    progress: float
    error: dict[str, str] | None
    size_bytes: int
    segments: int
    created_at: str
    expires_at: str

    def as_dict(self) -> dict[str, Any]:
        """Return what the API shows."""
        return {name: getattr(self, name) for name in self.__slots__}


def document_formats() -> list[str]:
    """Return the endings of the files that can be translated, such as "docx"."""
    return list(FORMATS)


def document_create(
    *, tenant_id: uuid.UUID, file: Any, target: str, source: str = "auto", actor: str = ""
) -> DocumentInfo:
    """Store an upload and enqueue its translation. `file` is Django's upload; its name says the format.

    Limits: 10 MiB; 20 waiting and 500 kept documents of an organisation. Kept for 7 days.
    Errors: Invalid (unsupported_type, file_empty, options_invalid, language_pair_unknown), TooLarge,
            Conflict "too_many_documents", RateLimited "quota_exceeded".
    """
    _languages_check(source, target)
    name = _name_clean(str(file.name or ""))
    try:
        kind = format_of(name)
    except DocumentRefused as error:
        raise Invalid(error.message, code=error.code) from error
    if file.size > MAX_BYTES:
        raise TooLarge(f"A document has at most {MAX_BYTES // 1024**2} MiB.", details={"max_bytes": MAX_BYTES})
    if not file.size:
        raise Invalid("The file is empty.", code="file_empty")
    tokens_check(tenant_id=tenant_id)
    row = TranslatedDocument(
        id=new_id(), name=name, format=kind, source=source, target=target, size_bytes=file.size, created_by=actor[:80]
    )
    row.expires_at = now() + KEPT
    row.storage_name = f"{tenant_id}/document-{row.id}.source"
    with tenant_scope(tenant_id):
        _room_check()
        default_storage.save(row.storage_name, ContentFile(b"".join(file.chunks()), name="file"))
        try:
            payload = {"document_id": str(row.id)}
            row.job_id = job_enqueue(tenant_id=tenant_id, kind=TRANSLATE, payload=payload)
            row.save()
            audit_record(action="document.translated", actor=actor, target=str(row.id), data={"name": name})
        except BaseException:
            default_storage.delete(row.storage_name)
            raise
    return document_get(tenant_id=tenant_id, document_id=row.id)


def _languages_check(source: str, target: str) -> None:
    try:
        TranslateOptions(source=source, target=target)
    except ValidationError:
        raise Invalid("source and target are codes of languages, as in pt or pt-BR.", code="options_invalid") from None
    if source != "auto" and language_base(source) != language_base(target):
        pair_find(source, target)


def _name_clean(name: str) -> str:
    """Return the last part of a name that a stranger chose, for display: at most 200 characters, its end kept."""
    base = "".join(c for c in name.replace("\\", "/").rsplit("/", 1)[-1] if c.isprintable()).strip()
    return base if len(base) <= 200 else base[:180] + base[-20:]


def _room_check() -> None:
    rows = TranslatedDocument.objects.all()
    waiting = Q(status=TranslatedDocument.Status.QUEUED) | Q(status=TranslatedDocument.Status.RUNNING)
    if rows.filter(waiting).count() >= MAX_OPEN or rows.count() >= MAX_KEPT:
        raise Conflict(
            f"At most {MAX_OPEN} documents can wait and {MAX_KEPT} be kept; remove some first.",
            code="too_many_documents",
        )


# -- reads -----------------------------------------------------------------------------------------------------------
def document_get(*, tenant_id: uuid.UUID, document_id: object) -> DocumentInfo:
    """Return one document. Raises NotFound."""
    return _infos([access_document_by_id(tenant_id, document_id)])[0]


def documents_list(*, tenant_id: uuid.UUID, cursor: str = "", limit: int = 50) -> tuple[list[DocumentInfo], str | None]:
    """Return documents, newest first, and the next cursor."""
    with tenant_scope(tenant_id):
        rows, following = paginate(TranslatedDocument.objects.all(), cursor=cursor, limit=limit)
        return _infos(rows), following


def document_open(*, tenant_id: uuid.UUID, document_id: object) -> tuple[IO[bytes], str]:
    """Return the translated file, open, and what it is called. Raises NotFound, Conflict "document_not_ready"."""
    row = access_document_by_id(tenant_id, document_id)
    if row.status != TranslatedDocument.Status.READY:
        raise Conflict("The document is not translated yet.", code="document_not_ready")
    try:
        file: IO[bytes] = default_storage.open(row.result_name)
    except FileNotFoundError:
        raise NotFound("The file is gone.", code="document_not_found") from None
    stem, _, suffix = row.name.rpartition(".")
    return file, f"{stem}.{row.target}.{suffix}"


def document_link(*, tenant_id: uuid.UUID, document_id: object) -> str:
    """Return a path that opens the translated file without a key, for as long as it is kept."""
    token = _signer.sign(f"{tenant_id.hex}.{uuid.UUID(str(document_id)).hex}")
    return reverse("model_api:libretranslate-file", args=[token])


def document_open_by_token(*, token: str) -> tuple[IO[bytes], str]:
    """Return what `document_open` returns for a link's token. Raises NotFound for one that was not made here."""
    try:
        tenant, document = _signer.unsign(token, max_age=KEPT).split(".")
        tenant_id, document_id = uuid.UUID(tenant), uuid.UUID(document)
    except (signing.BadSignature, ValueError):
        raise NotFound("The link is not valid any more.", code="link_invalid") from None
    return document_open(tenant_id=tenant_id, document_id=document_id)


def _infos(rows: Sequence[TranslatedDocument]) -> list[DocumentInfo]:
    """The documents with the progress of those that are being translated, asked for together."""
    running = [row.job_id for row in rows if row.status == TranslatedDocument.Status.RUNNING and row.job_id]
    jobs = jobs_get(tenant_id=rows[0].tenant_id, job_ids=running) if running else {}
    return [_info(row, jobs.get(row.job_id) if row.job_id in running else None) for row in rows]


def _info(row: TranslatedDocument, job: JobInfo | None) -> DocumentInfo:
    progress = 1.0 if row.status == TranslatedDocument.Status.READY else 0.0
    if job is not None:
        progress = job.progress
    error = {"code": row.error_code, "message": row.error_message} if row.error_code else None
    return DocumentInfo(
        id=str(row.id),
        name=row.name,
        format=row.format,
        source=row.source,
        target=row.target,
        detected=row.detected,
        status=str(row.status),
        progress=round(progress, 3),
        error=error,
        size_bytes=row.size_bytes,
        segments=row.segments,
        created_at=row.created_at.isoformat(),
        expires_at=row.expires_at.isoformat(),
    )


# -- removal ---------------------------------------------------------------------------------------------------------
def document_delete(*, tenant_id: uuid.UUID, document_id: object, actor: str = "") -> None:
    """Stop and remove a document with its files. Raises NotFound."""
    with tenant_scope(tenant_id):
        row = access_document_by_id(tenant_id, document_id, lock=True)
        _delete(row)
        audit_record(action="document.deleted", actor=actor, target=str(row.id), data={"name": row.name})


def documents_prune() -> int:
    """Remove documents that are older than a week; returns how many."""
    removed = 0
    for tenant_id in organization_ids():
        with tenant_scope(tenant_id):
            for row in TranslatedDocument.objects.filter(expires_at__lt=now()).select_for_update()[:MAX_KEPT]:
                _delete(row)
                removed += 1
    return removed


def _delete(row: TranslatedDocument) -> None:
    """Remove a row in the open scope; its files go after the commit."""
    if row.job_id:
        job_cancel(tenant_id=row.tenant_id, job_id=row.job_id)
    names = [row.storage_name, _result_name(row)]
    TranslatedDocument.objects.filter(id=row.id).delete()
    # By a job as well, so that a process that ends in between leaves none behind.
    job_enqueue(tenant_id=row.tenant_id, kind=FILES_DELETE, payload={"names": names})
    transaction.on_commit(partial(_files_delete, names))


def _files_delete(names: Sequence[str]) -> None:
    for name in names:
        default_storage.delete(name)


def _result_name(row: TranslatedDocument) -> str:
    return f"{row.tenant_id}/document-{row.id}.result"


# -- the job ---------------------------------------------------------------------------------------------------------
def document_translate(ctx: JobContext) -> None:
    """Job handler `analysis.document_translate`. A document that cannot be translated says why, and is no failed job."""
    rows = TranslatedDocument.objects
    with tenant_scope(ctx.tenant_id):
        document_id = ctx.payload["document_id"]
        rows.filter(id=document_id).update(status=TranslatedDocument.Status.RUNNING)
        row = rows.filter(id=document_id).first()
    if row is None:
        return
    values: dict[str, Any]
    try:
        data, values = _translated(ctx, row)
        name = _result_name(row)
        default_storage.delete(name)
        default_storage.save(name, ContentFile(data, name="file"))
        values |= {
            "status": TranslatedDocument.Status.READY,
            "result_name": name,
            "error_code": "",
            "error_message": "",
        }
    except (DocumentRefused, Invalid, RateLimited) as error:
        message = str(error.message)[:500]
        values = {"status": TranslatedDocument.Status.FAILED, "error_code": error.code, "error_message": message}
    with ctx.finishing():
        if not rows.filter(id=row.id).update(**values):
            _files_delete([_result_name(row)])


def document_job_ended(ctx: JobContext, status: str, code: str) -> None:
    """The job's end hook: it was cancelled, failed or gave up."""
    TranslatedDocument.objects.filter(id=ctx.payload["document_id"]).update(
        status=TranslatedDocument.Status.FAILED,
        error_code=code[:60] or status,
        error_message="The document could not be translated; try again later.",
    )


def _translated(ctx: JobContext, row: TranslatedDocument) -> tuple[bytes, dict[str, Any]]:
    """Return the translated file and what is known of it now."""
    document = BoxedDocument(default_storage.path(row.storage_name), row.format, check=ctx.check)
    language = row.source
    if language == "auto":
        language = source_detect(document.segments, target=row.target).language
    values = {"segments": len(document.segments), "detected": language if row.source == "auto" else ""}
    if language == "und" or language_base(language) == language_base(row.target):
        return document.written(document.segments, target=row.target), values
    return document.written(_segments(ctx, document, language, row.target), target=row.target), values


def _segments(ctx: JobContext, document: Document, source: str, target: str) -> list[Parts]:
    """Return the translated segments. Raises RateLimited when the day's tokens are used before the end."""
    pair = pair_find(source, target)
    done: list[Parts] = []
    total = len(document.segments)
    while len(done) < total:
        ctx.check()
        ctx.progress(len(done), total)
        tokens_check(tenant_id=ctx.tenant_id)
        call = Call(ctx.tenant_id, "batch", time.monotonic() + _SLICE_DEADLINE_S)
        made, tokens = segments_translate(call, _slice(document.segments, len(done)), pair=pair)
        tokens_add(tenant_id=ctx.tenant_id, tokens=tokens)
        done += made
    ctx.progress(total, total)
    return done


def _slice(segments: Sequence[Parts], begin: int) -> Sequence[Parts]:
    """Return the next segments: at least one, and no more than _SLICE_CHARS of text."""
    size, end = 0, begin
    while end < len(segments) and (end == begin or size < _SLICE_CHARS):
        size += sum(len(part) if isinstance(part, str) else _MARK_CHARS for part in segments[end])
        end += 1
    return segments[begin:end]
