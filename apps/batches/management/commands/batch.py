"""`manage.py batch run FILE --org SLUG --task TASK`, `list`, `show`, `pause`, `resume`, `cancel`, `delete`, `save`."""

from __future__ import annotations

import asyncio
import json
import sys
import time
import uuid
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.core.management.base import BaseCommand, CommandError

from apps.batches.selectors.batches import batch_get, batches_list
from apps.batches.services import (
    batch_cancel,
    batch_create_from_file,
    batch_delete,
    batch_pause,
    batch_resume,
    upload_taken,
)
from apps.batches.services.export import results_stream
from apps.batches.tables.types import FORMATS
from apps.batches.types import ACTIVE, BatchInfo, RowFilter
from apps.core.errors import AppError
from apps.tenants.selectors import organization_by_slug

ACTOR = "command:batch"
CHANGES = {"pause": batch_pause, "resume": batch_resume, "cancel": batch_cancel}
_EVERY_S = 0.5


class Command(BaseCommand):
    help = "Run a task over the rows of a file, watch it, stop it, save its results."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("action", choices=["run", "list", "show", *CHANGES, "delete", "save"])
        parser.add_argument("target", nargs="?", default="", help="the file for run, else the id of a batch")
        parser.add_argument("--org", required=True, help="slug of the organisation")
        parser.add_argument("--task", default="sentiment")
        parser.add_argument("--column", default="", help="column of the texts")
        parser.add_argument("--time-column", default="")
        parser.add_argument("--source-column", default="")
        parser.add_argument("--id-column", default="")
        parser.add_argument("--options", default="{}", help="options of the task, a JSON object")
        parser.add_argument("--no-topics", action="store_true")
        parser.add_argument("--detach", action="store_true", help="do not wait for the end")
        parser.add_argument("--out", default="", help="file for the results: .csv, .jsonl or .xlsx")
        parser.add_argument("--json", action="store_true", help="print JSON instead of a progress bar")

    def handle(self, *args: Any, **options: Any) -> None:
        """Exit status: 0 done, 1 refused, failed or cancelled, 2 interrupted: the batch goes on without us."""
        try:
            tenant_id = organization_by_slug(slug=options["org"]).id
            if options["action"] == "list":
                self._list(tenant_id, as_json=options["json"])
                return
            info = self._act(tenant_id, options)
        except AppError as error:
            raise CommandError(f"{error.code}: {error.message}", returncode=1) from error
        except KeyboardInterrupt:
            raise CommandError("The batch goes on in the background.", returncode=2) from None
        if info is None:
            return
        self.stdout.write(json.dumps(info.as_dict(), default=str) if options["json"] else _line(info))
        if info.status in ("failed", "cancelled") and options["action"] in ("run", "show"):
            raise CommandError(f"{info.error_code or info.status}: {info.error_message}", returncode=1)

    def _act(self, tenant_id: uuid.UUID, options: dict[str, Any]) -> BatchInfo | None:
        action, target = options["action"], options["target"]
        named = {"tenant_id": tenant_id, "batch_id": target}
        if action == "delete":
            batch_delete(**named, actor=ACTOR)
            return None
        if action == "save":
            self._save(tenant_id, batch_get(**named).id, options["out"])
            return None
        if action in CHANGES:
            return CHANGES[action](**named, actor=ACTOR)
        info = self._run(tenant_id, target, options) if action == "run" else batch_get(**named)
        if not options["detach"]:
            info = self._follow(tenant_id, info, bar=not options["json"])
        if options["out"] and info.status == "done":
            self._save(tenant_id, info.id, options["out"])
        return info

    def _run(self, tenant_id: uuid.UUID, target: str, options: dict[str, Any]) -> BatchInfo:
        path = Path(target)
        if not path.is_file():
            raise CommandError(f"{target or 'FILE'} is not there.", returncode=1)
        try:
            chosen = json.loads(options["options"])
        except ValueError as error:
            raise CommandError(f"--options is no JSON object: {error}", returncode=1) from error
        names = {"text": "column", "time": "time_column", "source": "source_column", "reference": "id_column"}
        with path.open("rb") as opened:
            file = UploadedFile(opened, name=path.name, size=path.stat().st_size)
            with upload_taken(tenant_id=tenant_id, file=file, actor=ACTOR) as upload:
                return batch_create_from_file(
                    tenant_id=tenant_id,
                    task=options["task"],
                    upload=upload,
                    columns={role: options[name] for role, name in names.items()},
                    options=chosen,
                    topics=not options["no_topics"],
                    actor=ACTOR,
                )

    def _follow(self, tenant_id: uuid.UUID, info: BatchInfo, *, bar: bool) -> BatchInfo:
        live = bar and sys.stderr.isatty()
        while info.status in ACTIVE:
            if live:
                sys.stderr.write("\r" + bar_line(info))
                sys.stderr.flush()
            time.sleep(_EVERY_S)
            info = batch_get(tenant_id=tenant_id, batch_id=info.id)
        if live:
            sys.stderr.write("\r\x1b[K")
        return info

    def _save(self, tenant_id: uuid.UUID, batch_id: uuid.UUID, out: str) -> None:
        kind = next((known for known in FORMATS if out.endswith(f".{known}")), None)
        if kind is None:
            raise CommandError("--out names a .csv, .jsonl or .xlsx file.", returncode=1)

        async def write() -> None:
            with Path(out).open("wb") as file:
                async for part in results_stream(tenant_id=tenant_id, batch_id=batch_id, kind=kind, chosen=RowFilter()):
                    file.write(part)

        asyncio.run(write())

    def _list(self, tenant_id: uuid.UUID, *, as_json: bool) -> None:
        items, _ = batches_list(tenant_id=tenant_id, limit=100)
        for info in items:
            self.stdout.write(json.dumps(info.as_dict(), default=str) if as_json else _line(info))


def _line(info: BatchInfo) -> str:
    return f"{info.id}  {info.status:<9}  {info.done:>9,} of {info.total:,} rows, {info.failed:,} failed  {info.name}"


def bar_line(info: BatchInfo, width: int = 30) -> str:
    """Return one line: bar, percentage, rows, rate, time left."""
    filled = round(info.progress * width)
    rate = f", {info.rate_per_s:,.0f} rows/s" if info.rate_per_s else ""
    left = f", {_duration(info.eta_s)} left" if info.eta_s is not None else ""
    done = f"{info.done:,} of {info.total:,}{rate}{left}" if info.status == "running" else info.status
    return f"\x1b[K[{'█' * filled}{'·' * (width - filled)}] {info.progress:4.0%}  {done}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
