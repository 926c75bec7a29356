"""Say, as the operator, that an account's address is its holder's."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.accounts.selectors import accounts_unproven
from apps.accounts.services import account_verify
from apps.core.errors import NotFound

NO_ACCOUNT = 3


class Command(BaseCommand):
    help = (
        "Prove the address of an account by your word, so that it may join further organisations. Make sure first that "
        "the person has the address: whoever knows the account's password gets in. With --new-password nobody knows it "
        "any more, every session ends, and the new one is printed once. "
        "Exit status: 0 the address is proven (also when it was before), 2 wrong use, 3 there is no such account."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("email", nargs="?")
        parser.add_argument("--list", action="store_true", help="print the accounts whose address is unproven")
        parser.add_argument("--new-password", action="store_true", help="set a random password and print it")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["list"]:
            self._list(options["json"])
            return
        if not options["email"]:
            raise CommandError("Name an address, or ask for the --list.", returncode=2)
        try:
            done = account_verify(email=options["email"], new_password=options["new_password"], actor="system:command")
        except NotFound as error:
            if options["json"]:
                self.stdout.write(json.dumps({"email": options["email"], "error": "account_missing"}))
            raise CommandError(str(error), returncode=NO_ACCOUNT) from None
        if options["json"]:
            shown: dict[str, Any] = {"email": done.email, "proven": True, "changed": done.changed}
            self.stdout.write(json.dumps({**shown, "password": done.password} if done.password else shown))
            return
        state = "is proven now" if done.changed else "was proven before"
        self.stdout.write(f"The address {done.email} {state}.")
        if done.password:
            self.stdout.write(f"New password: {done.password}")

    def _list(self, as_json: bool) -> None:
        emails = list(accounts_unproven())
        self.stdout.write(json.dumps({"unproven": emails}) if as_json else "\n".join(emails) or "All are proven.")
