"""`manage.py evaluate`: the quality of each task, measured, beside simple baselines."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.core.errors import AppError
from apps.inference.services import engine_ready, engine_start, engine_stop
from apps.nlp.evaluation import EVALUATIONS, Report
from apps.nlp.services.cards import MEASURED
from apps.tenants.selectors import organization_by_slug, organization_demo
from apps.translation.types import Call

_DEADLINE_S = 3_600.0
GUIDE = Path(settings.BASE_DIR) / "docs" / "guide" / "nlp-quality.md"
HEAD = """# Quality of the language tasks

Figures that `manage.py evaluate --write` measured, on the models that come with the product, each beside something simpler.
Another model in the catalogue gives other figures: measure again, on texts like yours. Where a set is ours, it is under
`apps/nlp/evaluation/data/`; the other sources are fetched or read from this machine.
"""


class Command(BaseCommand):
    """Exit status 1 when a task could not be evaluated; the others are shown all the same."""

    help = "Measure the quality of the language tasks beside baselines; needs the packages of requirements-dev.txt."

    def add_arguments(self, parser: CommandParser) -> None:
        """Tasks, --json, --write, --organization."""
        parser.add_argument("tasks", nargs="*", choices=[[], *EVALUATIONS], help="all when none is named")
        parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
        parser.add_argument(
            "--write", action="store_true", help="write the guide's page and the model cards (all tasks)"
        )
        parser.add_argument("--organization", default="", help="slug; its settings count (default: the demo's)")

    def handle(self, *args: Any, **options: Any) -> None:
        """Evaluate; models run in the worker of a running product, or else here."""
        names = options["tasks"] or list(EVALUATIONS)
        if options["write"] and options["tasks"]:
            raise CommandError("--write measures every task.")
        tenant_id = self._organization(options["organization"])
        here = not engine_ready()
        if here:
            engine_start()
        try:
            reports = [report for name in names if (report := self._evaluate(name, tenant_id)) is not None]
        finally:
            if here:
                engine_stop()
        if options["json"]:
            self.stdout.write(json.dumps([asdict(report) for report in reports], ensure_ascii=False, indent=1))
        else:
            self.stdout.write("\n".join(markdown_of(report) for report in reports))
        if options["write"]:
            MEASURED.write_text(
                json.dumps([asdict(report) for report in reports], ensure_ascii=False, indent=1) + "\n",
                encoding="utf-8",
            )
            GUIDE.write_text(HEAD + "\n" + "\n".join(markdown_of(report) for report in reports), encoding="utf-8")
        if len(reports) < len(names):
            sys.exit(1)

    def _organization(self, slug: str) -> Any:
        found = organization_by_slug(slug=slug) if slug else organization_demo()
        if found is None:
            raise CommandError("There is no demo organisation; name one with --organization.")
        return found.id

    def _evaluate(self, name: str, tenant_id: Any) -> Report | None:
        began = time.monotonic()

        def progress(done: int, total: int) -> None:
            if sys.stderr.isatty():
                self.stderr.write(f"{name} {done}/{total}", ending="\r")

        try:
            report = EVALUATIONS[name](Call(tenant_id, "batch", began + _DEADLINE_S), progress)
        except (AppError, ImportError) as error:
            self.stderr.write(self.style.ERROR(f"{name}: {error}"))
            return None
        self.stderr.write(f"{name}: {time.monotonic() - began:.0f} s")
        return report


def markdown_of(report: Report) -> str:
    """Return a report as a section with a table."""
    names = list(dict.fromkeys(name for row in report.rows for name in row.baselines))
    lines = [f"## {report.task}", "", f"Model `{report.model}`, on {report.data}.", ""]
    lines += ["| Measure | Ours | " + " | ".join(names) + (" |" if names else "")]
    lines += ["|---|---|" + "---|" * len(names)]
    for row in report.rows:
        cells = [f"{row.baselines[name]:.3f}" if name in row.baselines else "" for name in names]
        lines.append(f"| {row.metric} | {row.ours:.3f} | " + " | ".join(cells) + (" |" if names else ""))
    return "\n".join([*lines, *(["", report.note] if report.note else []), ""])
