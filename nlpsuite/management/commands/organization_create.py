"""Create an organisation with its first owner, inbox and API key."""

from __future__ import annotations

import getpass
import json
from argparse import ArgumentParser
from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from apps.accounts.services import api_key_create, member_create
from apps.conversations.services import inbox_create
from apps.core.errors import AppError
from apps.tenants.services import organization_create
from nlpsuite.settings import env


class Command(BaseCommand):
    help = (
        "Create an organisation, its owner, an inbox with a widget token and an API key. "
        "The password is asked for, or taken from OWNER_PASSWORD; an account that exists keeps its own."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name")
        parser.add_argument("--owner-email", required=True)
        parser.add_argument("--origin", action="append", default=[], help="a web site that may show the widget")

    def handle(self, *args: Any, **options: Any) -> None:
        password = env.env_str("OWNER_PASSWORD") or getpass.getpass("Password of the owner: ")
        try:
            validate_password(password)
            # All or nothing: an address that is refused leaves no organisation without an owner.
            with transaction.atomic():
                organization = organization_create(name=options["name"], actor="system:command")
                member_create(
                    tenant_id=organization.id,
                    email=options["owner_email"],
                    name="Owner",
                    role="owner",
                    password=password,
                    actor="system:command",
                )
                inbox = inbox_create(
                    tenant_id=organization.id,
                    name="Website",
                    settings={"allowed_origins": list(options["origin"])},
                    actor="system:command",
                )
                _, secret = api_key_create(tenant_id=organization.id, name="first", actor="system:command")
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from None
        except AppError as error:
            raise CommandError(f"{error.code}: {error.message}") from None
        shown = {
            "organization": organization.name,
            "slug": organization.slug,
            "widget_token": inbox.widget_token,
            "inbox_id": str(inbox.id),
            "api_key": secret,
        }
        self.stdout.write(json.dumps(shown, indent=1))
