"""`manage.py vectors`: which encoder each organisation is searched with, and how far the change to another one is."""

from __future__ import annotations

import json
import sys
import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.core.errors import AppError
from apps.inference.services import space_pause, space_resume, spaces_follow, spaces_list
from apps.inference.types import SpaceInfo
from apps.tenants.selectors import organization_by_slug, organization_get, organization_ids
from apps.tenants.types import OrganizationInfo

ACTOR = "command:vectors"
LOOK_EVERY_S = 1.0
BAR_CHARS = 30


class Command(BaseCommand):
    help = "Show the encoders that organisations are searched with; pause, resume or watch the change to another one."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--org", default="", help="slug of the organisation; all of them without")
        action = parser.add_mutually_exclusive_group()
        action.add_argument("--pause", action="store_true", help="stop computing vectors; the present ones serve on")
        action.add_argument("--resume", action="store_true", help="go on, now")
        action.add_argument("--watch", action="store_true", help="show progress until every change is complete")
        parser.add_argument("--json", action="store_true", help="print the states as JSON")
        parser.add_argument("--timeout", type=float, default=86_400.0, help="seconds to watch")

    def handle(self, *args: Any, **options: Any) -> None:
        """Exit status: 0 all is searched by meaning with the default encoder, or on its way; 1 refused; 2 not complete in
        time; 3 an organisation is searched by words alone."""
        try:
            chosen = self._chosen(options["org"])
        except AppError as error:
            raise CommandError(f"{error.code}: {error.message}", returncode=1) from error
        for organization in chosen:
            if options["pause"]:
                space_pause(tenant_id=organization.id, actor=ACTOR)
            if options["resume"]:
                space_resume(tenant_id=organization.id, actor=ACTOR)
        if options["resume"] or options["watch"]:
            spaces_follow()
        if options["watch"]:
            self._watch(chosen, options["timeout"])
        states = [(one, state) for one in chosen for state in spaces_list(tenant_id=one.id)]
        if options["json"]:
            rows = [{"organization": one.slug, **state.as_dict()} for one, state in states]
            self.stdout.write(json.dumps(rows, default=str))
        else:
            self.stdout.write(
                "\n".join(f"{one.slug:20} {line_of(state)}" for one, state in states) or "No vectors yet."
            )
        if any(not state.searched and state.total for _, state in states):
            raise CommandError("An encoder is not installed any more: there the search goes by words.", returncode=3)

    def _chosen(self, slug: str) -> list[OrganizationInfo]:
        if slug:
            return [organization_by_slug(slug=slug)]
        return [organization_get(tenant_id=tenant_id) for tenant_id in organization_ids()]

    def _watch(self, chosen: list[OrganizationInfo], timeout_s: float) -> None:
        give_up, live = time.monotonic() + timeout_s, sys.stderr.isatty()
        while True:
            states = [state for one in chosen for state in spaces_list(tenant_id=one.id)]
            waiting = [state for state in states if state.building]
            done, total = sum(state.done for state in waiting), sum(state.total for state in waiting)
            if live:
                sys.stderr.write("\r\x1b[K" + bar_of(done, total) if waiting else "\r\x1b[K")
                sys.stderr.flush()
            if not waiting:
                return
            if time.monotonic() > give_up or all(state.paused for state in waiting):
                raise CommandError("Not complete; vectors are computed in the background.", returncode=2)
            time.sleep(LOOK_EVERY_S)


def line_of(state: SpaceInfo) -> str:
    """Return a state for people."""
    line = f"{state.holder:9} {state.total:8} texts, searched {'with' if state.searched else 'by words, not with'} "
    line += state.serving
    if state.building:
        line += f"; {bar_of(state.done, state.total)} {state.building}{', paused' if state.paused else ''}"
    return line + (f"; {state.error_code}" if state.error_code else "")


def bar_of(done: int, total: int) -> str:
    """Return a bar, a share and the numbers behind it."""
    share = done / total if total else 0.0
    full = round(share * BAR_CHARS)
    return f"[{'#' * full}{'.' * (BAR_CHARS - full)}] {share:4.0%} {done}/{total}"
