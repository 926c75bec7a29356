"""Labels and intents that were there before they were rows are found too, those of every organisation."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import psycopg
import pytest
from django.db import connection

from apps.conversations.models import Conversation, ConversationTag
from apps.conversations.selectors import conversations_list
from apps.core.tenancy import tenant_scope
from nlpsuite.settings import env
from nlpsuite.settings.parts.database import OWNER_ROLE
from tests.conversations.conftest import Talk

pytestmark = pytest.mark.django_db(transaction=True)
MIGRATION = import_module("apps.conversations.migrations.0006_tags_of_before")


def _as_before(talk: Talk) -> None:
    talk.post("hello")
    with tenant_scope(talk.tenant_id):
        Conversation.objects.filter(id=talk.id).update(labels=["vip", "vip", "billing"], intents=["refund"])
        ConversationTag.objects.all().delete()


def _migrate() -> None:
    """As the owner of the tables, whom the wall stops too."""
    found = connection.settings_dict
    where: dict[str, Any] = {name.lower(): found[name] for name in ("HOST", "PORT")}
    with psycopg.connect(
        **where, dbname=found["NAME"], user=OWNER_ROLE, password=env.secrets_read()["pg_owner"]
    ) as owner:
        owner.execute(MIGRATION.FILL)


def _found(talk: Talk, **asked: str) -> int:
    return len(conversations_list(tenant_id=talk.tenant_id, **asked)[0])


def test_they_are_found_after_the_migration(talk: Talk, other_talk: Talk) -> None:
    for one in (talk, other_talk):
        _as_before(one)
    before = _found(talk, label="vip")
    _migrate()
    asked = ({"label": "vip"}, {"label": "billing"}, {"intent": "refund"})
    assert before == 0
    assert [_found(one, **query) for one in (talk, other_talk) for query in asked] == [1] * 6
    with tenant_scope(talk.tenant_id):
        assert ConversationTag.objects.count() == 3
