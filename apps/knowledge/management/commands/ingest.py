"""`manage.py ingest PATH... --org SLUG`: add files as one source and show how far its reading is."""

from __future__ import annotations

import json
import sys
import time
from argparse import ArgumentParser
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from django.core.files.base import File
from django.core.management.base import BaseCommand, CommandError

from apps.core.errors import AppError
from apps.knowledge.selectors import source_get
from apps.knowledge.services import source_create_from_files, source_create_from_url
from apps.knowledge.types import SourceInfo
from apps.tenants.selectors import organization_by_slug

SUFFIXES = {".html", ".htm", ".xhtml", ".md", ".markdown", ".txt", ".pdf", ".docx"}


class Command(BaseCommand):
    help = "Add files, folders or an http(s) address to an organisation's knowledge and wait until they are read."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("paths", nargs="+", metavar="PATH")
        parser.add_argument("--org", required=True, help="slug of the organisation")
        parser.add_argument("--collection", default=None)
        parser.add_argument("--json", action="store_true", help="print the source as JSON instead of a progress bar")
        parser.add_argument("--timeout", type=float, default=3600.0, help="seconds to wait")

    def handle(self, *args: Any, **options: Any) -> None:
        """Exit status: 0 read, 1 failed or refused, 2 not finished in time."""
        try:
            tenant_id = organization_by_slug(slug=options["org"]).id
            source = self._add(tenant_id, options["paths"], options["collection"])
            source = self._follow(tenant_id, source, bar=not options["json"], timeout_s=options["timeout"])
        except AppError as error:
            raise CommandError(f"{error.code}: {error.message}", returncode=1) from error
        if options["json"]:
            self.stdout.write(json.dumps(source.as_dict(), default=str))
        else:
            self._summary(source)
        if source.status == "failed":
            raise CommandError(f"{source.error_code}: {source.error_message}", returncode=1)
        if source.status != "ready":
            raise CommandError("Not finished in time; reading goes on in the background.", returncode=2)

    def _add(self, tenant_id: Any, paths: list[str], collection: str | None) -> SourceInfo:
        if len(paths) == 1 and paths[0].startswith(("http://", "https://")):
            return source_create_from_url(
                tenant_id=tenant_id, url=paths[0], collection=collection, actor="command:ingest"
            )
        with ExitStack() as opened:
            files = []
            for path in _files(paths):
                file = File(opened.enter_context(path.open("rb")), name=path.name)
                files.append(file)
            return source_create_from_files(
                tenant_id=tenant_id, files=files, collection=collection, actor="command:ingest"
            )

    def _follow(self, tenant_id: Any, source: SourceInfo, *, bar: bool, timeout_s: float) -> SourceInfo:
        started = time.monotonic()
        live = bar and sys.stderr.isatty()
        while source.status in ("queued", "running") and time.monotonic() - started < timeout_s:
            if live:
                sys.stderr.write("\r" + bar_line(source.progress, source.note, time.monotonic() - started))
                sys.stderr.flush()
            time.sleep(0.3)
            source = source_get(tenant_id=tenant_id, source_id=source.id)
        if live:
            sys.stderr.write("\r\x1b[K")
        return source

    def _summary(self, source: SourceInfo) -> None:
        self.stdout.write(f"{source.name}: {source.status}, {source.documents} documents, {source.chunks} passages")
        for problem in source.problems:
            self.stdout.write(f"  {problem['name']}: {problem['code']}: {problem['message']}")


def bar_line(progress: float, note: str, elapsed_s: float, width: int = 30) -> str:
    """Return one line: bar, percentage, files and passages done, time left."""
    filled = round(progress * width)
    left = f", {elapsed_s / progress - elapsed_s:.0f} s left" if progress > 0.02 else ""
    return f"\x1b[K[{'█' * filled}{'·' * (width - filled)}] {progress:4.0%}  {note}{left}"


def _files(paths: list[str]) -> list[Path]:
    found: list[Path] = []
    for name in paths:
        path = Path(name)
        if path.is_dir():
            found.extend(sorted(p for p in path.rglob("*") if p.is_file() and p.suffix.lower() in SUFFIXES))
        elif path.is_file():
            found.append(path)
        else:
            raise CommandError(f"{name} is not there.", returncode=1)
    return found
