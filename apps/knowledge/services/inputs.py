"""What a source consists of, read one after the other: stored files, or the pages of a site."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from django.conf import settings
from django.core.files.storage import default_storage

from apps.core.tenancy import tenant_scope
from apps.documents.errors import ExtractError
from apps.knowledge.extract.box import FILES_PER_PROCESS, BoxDocument, BoxFile, extract_boxed
from apps.knowledge.models import Source, SourceFile
from apps.knowledge.services.crawl import CrawlLimits, crawl
from apps.knowledge.types import SourceKind


@dataclass(frozen=True, slots=True)
class ReadDocument:
    """A file or page that was read or refused: the `done`th of `known`."""

    name: str
    url: str
    done: int
    known: int
    result: BoxDocument | ExtractError


def source_documents(tenant_id: uuid.UUID, source: Source, *, check: Callable[[], None]) -> Iterator[ReadDocument]:
    """Yield the documents of a source in order; `check` may raise to stop."""
    if source.kind == SourceKind.URL:
        yield from _pages(source.url, check)
        return
    with tenant_scope(tenant_id):
        files = list(SourceFile.objects.filter(source=source).order_by("id"))
    names = _distinct_names([file.name for file in files])
    for at in range(0, len(files), FILES_PER_PROCESS):
        check()
        batch = files[at : at + FILES_PER_PROCESS]
        with _local_paths([file.storage_name for file in batch]) as paths:
            boxed = [_box_file(source, path, file) for path, file in zip(paths, batch, strict=True)]
            for index, result in enumerate(extract_boxed(boxed, check=check), start=at):
                yield ReadDocument(names[index], "", index + 1, len(files), result)


def _box_file(source: Source, path: str, file: SourceFile) -> BoxFile:
    # A pasted text is Markdown; its title is the one that was typed.
    typed = source.kind == SourceKind.TEXT
    return BoxFile(path, f"{file.name}.md" if typed else file.name, title=source.name if typed else "")


def _pages(start: str, check: Callable[[], None]) -> Iterator[ReadDocument]:
    limits = CrawlLimits(
        pages=settings.KNOWLEDGE_CRAWL_MAX_PAGES,
        depth=settings.KNOWLEDGE_CRAWL_MAX_DEPTH,
        total_bytes=settings.KNOWLEDGE_CRAWL_MAX_BYTES,
        seconds=settings.KNOWLEDGE_CRAWL_MAX_SECONDS,
        page_bytes=settings.KNOWLEDGE_MAX_FILE_BYTES,
    )
    for done, page in enumerate(crawl(start, limits, check=check), start=1):
        yield ReadDocument(page.url, page.url, done, page.known, page.result)


def _distinct_names(names: list[str]) -> list[str]:
    """Number files of the same name, so that each has its own document: `a.html`, `a.html (2)`."""
    seen: dict[str, int] = {}
    result = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        result.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return result


@contextmanager
def _local_paths(storage_names: list[str]) -> Iterator[list[str]]:
    """Give paths on this machine: the storage's own when it has them, else temporary copies."""
    try:
        paths = [default_storage.path(name) for name in storage_names]
    except NotImplementedError:
        paths = []
    if paths:
        yield paths
        return
    with TemporaryDirectory(prefix="nlpsuite-files-") as folder:
        for index, name in enumerate(storage_names):
            target = Path(folder) / str(index)
            with default_storage.open(name) as stored, target.open("wb") as copy:
                shutil.copyfileobj(stored, copy)
            paths.append(str(target))
        yield paths
