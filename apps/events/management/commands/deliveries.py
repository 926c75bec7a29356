"""Deliveries of events that did not end well: see them, try them again, drop them."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.events.services import deliveries_drop, deliveries_list, deliveries_retry
from apps.events.types import DeliveryInfo


class Command(BaseCommand):
    help = (
        "Show, retry or drop deliveries of events to their handlers. Dead ones failed ten times; unknown ones are for a "
        "handler that this version does not have. `list` ends with status 1 when it found some."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", choices=["list", "retry", "drop"])
        parser.add_argument("ids", nargs="*", type=int, help="the deliveries to retry or drop")
        parser.add_argument("--all", action="store_true", help="retry or drop every one")
        parser.add_argument("--handler", default="", help="those of one handler")
        parser.add_argument("--state", choices=["dead", "unknown", "pending"], default="dead")
        parser.add_argument("--limit", type=int, default=100, help="rows that are listed at most")
        parser.add_argument("--json", action="store_true", help="print JSON for programs")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["action"] == "list":
            self._list(options)
            return
        if bool(options["ids"]) + options["all"] + bool(options["handler"]) != 1:
            raise CommandError("Say which: ids, --handler NAME, or --all.")
        if options["action"] == "retry" and options["state"] != "dead":
            raise CommandError(
                "Dead deliveries can be retried; unknown ones go on by themselves when their code is here."
            )
        if options["state"] == "pending":
            raise CommandError("What is on its way cannot be dropped.")
        chosen = {"ids": options["ids"] or None, "handler": options["handler"]}
        if options["action"] == "retry":
            self._say(options, "retried", deliveries_retry(actor="system:command", **chosen))
        else:
            self._say(options, "dropped", deliveries_drop(state=options["state"], **chosen))

    def _list(self, options: dict[str, Any]) -> None:
        found = deliveries_list(state=options["state"], handler=options["handler"], limit=max(1, options["limit"]))
        if options["json"]:
            self.stdout.write(json.dumps([asdict(one) for one in found], default=str))
        else:
            for one in found:
                self.stdout.write(_line(one))
            self.stdout.write(f"{len(found)} {options['state']}")
        if found and options["state"] != "pending":
            sys.exit(1)

    def _say(self, options: dict[str, Any], what: str, count: int) -> None:
        self.stdout.write(json.dumps({what: count}) if options["json"] else f"{count} {what}")


def _line(one: DeliveryInfo) -> str:
    when = one.created_at.isoformat(timespec="seconds")
    return f"{one.id}  {when}  {one.event_type}  {one.handler}  attempts {one.attempts}  {one.error}"
