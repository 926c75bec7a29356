"""Reading a source: extraction, embedding and one atomic replacement of its passages."""

from __future__ import annotations

import hashlib
import threading
import time
import uuid
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from django.conf import settings

from apps.core.clock import now
from apps.core.errors import Busy, DeadlineExceeded, Invalid, Unavailable
from apps.core.tenancy import tenant_scope
from apps.documents.errors import ExtractError
from apps.events.services import event_record
from apps.inference.services import PASSAGES, SpacesChanged, embed_texts, space_model, spaces_hold, spaces_writing
from apps.jobs.services import JobContext
from apps.knowledge.extract.box import BoxDocument
from apps.knowledge.models import EMBEDDING_DIMENSIONS, Source
from apps.knowledge.services.inputs import ReadDocument, source_documents
from apps.knowledge.services.vectors import vectors_known
from apps.knowledge.services.write import PreparedDocument, source_replace
from apps.knowledge.types import SourceStatus

EMBED_BATCH = 64
EMBED_THREADS = 2
EMBED_DEADLINE_S = 120.0
BUSY_PATIENCE_S = 300.0
MAX_PROBLEMS = 50


@dataclass(slots=True)
class _Run:
    """What one reading has gathered so far."""

    ctx: JobContext
    spaces: tuple[str, ...]
    documents: dict[str, PreparedDocument] = field(default_factory=dict)
    problems: list[dict[str, str]] = field(default_factory=list)
    chunk_total: int = 0
    files_done: int = 0
    files_total: int = 1
    published: float = 0.0
    shown_at: float = 0.0


def source_ingest(ctx: JobContext) -> None:
    """Job handler `knowledge.source_ingest`: read the source `ctx.payload["source_id"]` and replace its passages.

    Idempotent: everything before the last transaction is reading; that one writes passages, source and the job's end.
    A source that was removed meanwhile ends the job without an effect.
    """
    source_id = uuid.UUID(ctx.payload["source_id"])
    with tenant_scope(ctx.tenant_id):
        Source.objects.filter(id=source_id).update(status=SourceStatus.RUNNING)
        source = Source.objects.filter(id=source_id).first()
    if source is None:
        return
    run = _Run(ctx, spaces_writing(tenant_id=ctx.tenant_id, holder=PASSAGES))
    with _Embedder(run) as embedder:
        for document in source_documents(ctx.tenant_id, source, check=ctx.check):
            _take(run, embedder, document)
        while True:
            try:
                _finish(run, source_id, embedder.finish())
                return
            except SpacesChanged as changed:
                # Another encoder began to count while we read.
                embedder.extend(changed.spaces)


def _take(run: _Run, embedder: _Embedder, read: ReadDocument) -> None:
    run.ctx.check()
    run.files_done, run.files_total = read.done, max(read.known, 1)
    result = read.result
    if isinstance(result, ExtractError):
        _problem(run, read.name, result.code, result.message)
    elif not result.chunks:
        _problem(run, read.name, "nothing_found", "The document holds no text.")
    elif run.chunk_total + len(result.chunks) > settings.KNOWLEDGE_MAX_CHUNKS:
        _problem(run, read.name, "too_many_passages", "The source has more passages than the limit.")
    else:
        prepared = _prepare(read, result)
        run.documents[prepared.name] = prepared
        run.chunk_total += len(prepared.drafts)
        embedder.add(prepared)
    _show(run, embedder)


def _prepare(read: ReadDocument, result: BoxDocument) -> PreparedDocument:
    return PreparedDocument(
        name=read.name,
        url=read.url,
        title=(result.title or read.name)[:300],
        format=result.format,
        flags=result.flags,
        drafts=result.chunks,
        digests=tuple(_digest(draft.embed_text) for draft in result.chunks),
    )


def _problem(run: _Run, name: str, code: str, message: str) -> None:
    if len(run.problems) < MAX_PROBLEMS:
        run.problems.append({"name": name[:300], "code": code, "message": message[:300]})


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def _show(run: _Run, embedder: _Embedder, *, force: bool = False) -> None:
    """Publish progress at most twice a second; it never goes back although the total grows while reading."""
    if not force and time.monotonic() - run.shown_at < 0.5:
        return
    run.shown_at = time.monotonic()
    read = run.files_done / max(run.files_total, run.files_done, 1)
    total = run.chunk_total * len(run.spaces)
    embedded = embedder.done / total if total else 1.0
    run.published = max(run.published, min(0.99, read * embedded))
    note = f"{run.files_done}/{run.files_total} · {embedder.done}/{total}"
    run.ctx.progress(round(run.published * 1000), 1000, note)


class _Embedder:
    """Embeds in batches on its own threads while the next documents are read. Known texts are not embedded again."""

    def __init__(self, run: _Run) -> None:
        self._run = run
        self._pool = ThreadPoolExecutor(max_workers=EMBED_THREADS, thread_name_prefix="embed")
        self._vectors: dict[tuple[str, str], np.ndarray] = {}
        self._waiting: dict[str, dict[str, str]] = {}
        self._futures: list[Future[None]] = []
        self._asked: set[str] = set()
        self._stopped = threading.Event()

    def __enter__(self) -> _Embedder:
        return self

    def __exit__(self, *exc: object) -> None:
        # Nobody wants the rest: after an error or a cancellation, neither calls nor waits for a turn go on.
        self._stopped.set()
        self._pool.shutdown(wait=True, cancel_futures=True)

    @property
    def done(self) -> int:
        """Vectors that the passages have, of one for each passage and space."""
        documents = self._run.documents.values()
        digests = [digest for document in documents for digest in document.digests]
        return sum((space, digest) in self._vectors for space in self._run.spaces for digest in digests)

    def add(self, document: PreparedDocument) -> None:
        """Take a document's passages; whole batches start at once."""
        self._raise_early()
        texts = {
            digest: draft.embed_text
            for digest, draft in zip(document.digests, document.drafts, strict=True)
            if digest not in self._asked
        }
        self._asked.update(texts)
        for space in self._run.spaces:
            self._want(space, texts)

    def extend(self, spaces: tuple[str, ...]) -> None:
        """Take further spaces, for all passages so far."""
        self._run.spaces += spaces
        documents = self._run.documents.values()
        for space in spaces:
            for document in documents:
                texts = zip(document.digests, (draft.embed_text for draft in document.drafts), strict=True)
                self._want(space, {key: text for key, text in texts if (space, key) not in self._vectors})

    def _want(self, space: str, texts: dict[str, str]) -> None:
        known = vectors_known(tenant_id=self._run.ctx.tenant_id, space=space, digests=list(texts))
        self._vectors.update({(space, digest): vector for digest, vector in known.items()})
        waiting = self._waiting.setdefault(space, {})
        waiting.update({digest: text for digest, text in texts.items() if digest not in known})
        while len(waiting) >= EMBED_BATCH:
            self._send(space)

    def finish(self) -> dict[tuple[str, str], np.ndarray]:
        """Embed the rest and return every vector by space and digest."""
        for space, waiting in self._waiting.items():
            while waiting:
                self._send(space)
        for future in self._futures:
            while not future.done():
                self._run.ctx.check()
                _show(self._run, self)
                _wait(future)
            future.result()
        _show(self._run, self, force=True)
        return self._vectors

    def _send(self, space: str) -> None:
        waiting = self._waiting[space]
        batch = dict(list(waiting.items())[:EMBED_BATCH])
        for digest in batch:
            del waiting[digest]
        self._futures.append(self._pool.submit(self._embed, space, batch))

    def _embed(self, space: str, batch: dict[str, str]) -> None:
        texts = list(batch.values())
        model = space_model(space)
        if model is None:
            raise Unavailable("The encoder has been taken out of the catalogue meanwhile.", code="model_unavailable")
        give_up = time.monotonic() + BUSY_PATIENCE_S
        while True:
            try:
                result = embed_texts(
                    texts,
                    tenant_id=self._run.ctx.tenant_id,
                    deadline_s=EMBED_DEADLINE_S,
                    priority="batch",
                    should_stop=self._stopped.is_set,
                    model=model.name,
                )
                break
            except (Busy, Unavailable, DeadlineExceeded) as error:
                # People come first: a batch waits its turn before the job is given back.
                if time.monotonic() > give_up or self._run.ctx.lost.is_set():
                    raise
                if self._stopped.wait(min(error.retry_after_s or 1.0, 5.0)):
                    raise
        if result.vectors.shape[1] != EMBEDDING_DIMENSIONS:
            raise Invalid(
                f"The embedding model gives {result.vectors.shape[1]} dimensions; the index holds {EMBEDDING_DIMENSIONS}.",
                code="embedding_dimensions",
            )
        for digest, vector in zip(batch, result.vectors, strict=True):
            self._vectors[space, digest] = vector

    def _raise_early(self) -> None:
        for future in [future for future in self._futures if future.done()]:
            future.result()


def _wait(future: Future[None]) -> None:
    try:
        future.exception(timeout=0.5)
    except TimeoutError:
        return


def _finish(run: _Run, source_id: uuid.UUID, vectors: dict[tuple[str, str], np.ndarray]) -> None:
    with run.ctx.finishing():
        source = Source.objects.select_for_update().filter(id=source_id).first()
        if source is None:
            return
        source.problems = run.problems
        if not run.documents:
            first = run.problems[0] if run.problems else {"code": "nothing_found", "message": "Nothing was found."}
            source_fail(source, first["code"], first["message"])
            run.ctx.fail(first["code"], first["message"])
            return
        spaces = spaces_hold(PASSAGES, written=run.spaces)
        source_replace(source, list(run.documents.values()), spaces, vectors)
        source.status, source.error_code, source.error_message = SourceStatus.READY, "", ""
        source.flags = sorted({flag for document in run.documents.values() for flag in document.flags})
        source.ready_at = now()
        source.save()
        data = {"name": source.name, "documents": source.document_count, "chunks": source.chunk_count}
        event_record(type="source.ready", subject_type="source", subject_id=source.id, data=data)


def source_fail(source: Source, code: str, message: str) -> None:
    """Mark a source as failed in the open scope; what it had before stays searchable. Writes `source.failed`."""
    source.status, source.error_code, source.error_message = SourceStatus.FAILED, code[:60], message[:500]
    source.save()
    data = {"name": source.name, "code": source.error_code}
    event_record(type="source.failed", subject_type="source", subject_id=source.id, data=data)


def source_job_ended(ctx: JobContext, status: str, code: str) -> None:
    """End hook: the job was cancelled, failed or died without writing its effects."""
    source = Source.objects.filter(id=uuid.UUID(ctx.payload["source_id"])).first()
    if source is not None and source.job_id == ctx.job_id:
        source_fail(source, code or status, "The source could not be read.")
