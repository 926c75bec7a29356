"""Inboxes of several kinds of channels: declared by apps, with settings of their own, beside older processes."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest
from django.db import connection
from pydantic import BaseModel, ConfigDict, Field

from apps.conversations import channels
from apps.conversations.models import Inbox
from apps.conversations.selectors import inbox_get
from apps.conversations.services import channel_declare, inbox_create, inbox_update
from apps.conversations.types import MAX_BODY, ChannelKind
from apps.core.errors import Invalid
from apps.core.tenancy import tenant_scope
from apps.widget.channel import WidgetSettings, widget_settings
from tests.conftest import ApiClient

OF_BEFORE = import_module("apps.conversations.migrations.0015_channel_of_before")
LOOK = {
    "allowed_origins": ["https://shop.example"],
    "accent": "#102030",
    "greeting": "Hello",
    "suggested_questions": ["When?"],
}


class LetterSettings(BaseModel):
    """Settings of a kind that only tests know."""

    model_config = ConfigDict(extra="forbid")

    address: str = Field(max_length=254)
    signature: str = ""


@pytest.fixture
def letters(monkeypatch: pytest.MonkeyPatch) -> ChannelKind:
    """A second kind of channel, without a public token."""
    monkeypatch.setattr(channels, "_kinds", dict(channels._kinds))
    kind = ChannelKind(name="letters", settings=LetterSettings, max_text=MAX_BODY)
    channel_declare(kind)
    return kind


def _columns(inbox: Any) -> tuple[Any, ...]:
    """What a process of the version before reads."""
    with tenant_scope(inbox.tenant_id), connection.cursor() as cursor:
        cursor.execute(
            "SELECT allowed_origins, accent, greeting, suggested_questions FROM conversations_inbox WHERE id = %s",
            [inbox.id],
        )
        return cursor.fetchone()


def _as_an_older_process(inbox: Any, statement: str, *values: Any) -> None:
    with tenant_scope(inbox.tenant_id), connection.cursor() as cursor:
        cursor.execute(statement, [*values, inbox.id])


# -- kinds -----------------------------------------------------------------------------------------------------------
def test_an_inbox_is_a_widget_unless_it_says_otherwise(api: ApiClient) -> None:
    made = api.post("/conversations/inboxes", {"name": "Shop", **LOOK}).json()
    assert (made["channel"], made["settings"]) == ("widget", LOOK)
    assert {name: made[name] for name in LOOK} == LOOK
    assert made["widget_token"].startswith("wgt_")


def test_settings_of_a_kind_come_together_too(api: ApiClient) -> None:
    made = api.post("/conversations/inboxes", {"name": "Shop", "channel": "widget", "settings": LOOK}).json()
    assert (made["settings"], made["greeting"]) == (LOOK, "Hello")


def test_a_kind_that_nobody_declares_is_refused(api: ApiClient) -> None:
    refused = api.post("/conversations/inboxes", {"name": "x", "channel": "pigeon"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "channel_unknown")


def test_another_kind_has_its_own_settings_and_no_token(letters: ChannelKind, api: ApiClient) -> None:
    settings = {"address": "help@shop.example"}
    made = api.post("/conversations/inboxes", {"name": "Post", "channel": "letters", "settings": settings}).json()
    assert (made["channel"], made["settings"]) == ("letters", {"address": "help@shop.example", "signature": ""})
    assert (made["widget_token"], made["allowed_origins"], made["greeting"]) == ("", [], "")


@pytest.mark.parametrize(
    "given", [{}, {"address": 7}, {"address": "x" * 255}, {"address": "a@b.example", "greeting": "x"}]
)
def test_settings_that_do_not_fit_the_kind_are_refused(letters: ChannelKind, api: ApiClient, given: Any) -> None:
    body = {"name": "Post", "channel": "letters", "settings": given}
    refused = api.post("/conversations/inboxes", body)
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "settings_invalid")


@pytest.mark.parametrize(
    "given",
    [{"accent": "red"}, {"greeting": "x" * 301}, {"suggested_questions": ["q"] * 7}, {"other": 1}, {"greeting": None}],
)
def test_a_widgets_settings_are_looked_at_wherever_they_stand(api: ApiClient, inbox: Any, given: Any) -> None:
    refused = api.patch(f"/conversations/inboxes/{inbox.id}", {"settings": given})
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "settings_invalid")


@pytest.mark.parametrize("beside", [True, False])
def test_of_the_settings_those_that_are_named_change(api: ApiClient, inbox: Any, beside: bool) -> None:
    body = {"greeting": "Hi"} if beside else {"settings": {"greeting": "Hi"}}
    changed = api.patch(f"/conversations/inboxes/{inbox.id}", body).json()
    assert changed["settings"]["greeting"] == "Hi"
    assert changed["settings"]["allowed_origins"] == ["https://shop.example"]


def test_the_kind_of_an_inbox_stays(api: ApiClient, inbox: Any, letters: ChannelKind) -> None:
    assert api.patch(f"/conversations/inboxes/{inbox.id}", {"channel": "letters"}).status_code == 422


def test_a_kind_is_declared_once_and_within_the_bound(letters: ChannelKind) -> None:
    with pytest.raises(ValueError, match="already"):
        channel_declare(letters)
    with pytest.raises(ValueError, match="characters"):
        channel_declare(ChannelKind(name="books", settings=LetterSettings, max_text=MAX_BODY + 1))


def test_a_kind_of_a_newer_version_is_shown_and_left_alone(tenant: Any, letters: ChannelKind) -> None:
    made = inbox_create(tenant_id=tenant.id, name="Post", channel="letters", settings={"address": "a@b.example"})
    del channels._kinds["letters"]
    assert inbox_get(tenant_id=tenant.id, inbox_id=made.id).settings["address"] == "a@b.example"
    renamed = inbox_update(tenant_id=tenant.id, inbox_id=made.id, changes={"name": "Mail"}, actor="test")
    assert (renamed.name, renamed.settings) == ("Mail", made.settings)
    with pytest.raises(Invalid) as caught:
        inbox_update(tenant_id=tenant.id, inbox_id=made.id, changes={"settings": {"address": "x"}}, actor="test")
    assert caught.value.code == "channel_unknown"


def test_settings_of_a_newer_version_stay(tenant: Any, inbox: Any) -> None:
    with tenant_scope(tenant.id):
        row = Inbox.objects.get(id=inbox.id)
        row.channel_settings = {**row.channel_settings, "sound": "bell"}
        row.save()
    changes = {"settings": {"greeting": "Hi"}}
    changed = inbox_update(tenant_id=tenant.id, inbox_id=inbox.id, changes=changes, actor="test")
    assert changed.settings["sound"] == "bell"
    assert widget_settings(changed) == WidgetSettings(allowed_origins=["https://shop.example"], greeting="Hi")


# -- processes of the version before ---------------------------------------------------------------------------------
def test_the_version_before_reads_what_this_one_writes(tenant: Any) -> None:
    made = inbox_create(tenant_id=tenant.id, name="Shop", settings=LOOK)
    first = _columns(made)
    inbox_update(
        tenant_id=tenant.id, inbox_id=made.id, changes={"settings": {"suggested_questions": ["A?", "B?"]}}, actor="test"
    )
    assert first == (["https://shop.example"], "#102030", "Hello", ["When?"])
    assert _columns(made) == (["https://shop.example"], "#102030", "Hello", ["A?", "B?"])


def test_this_version_reads_what_the_one_before_writes(tenant: Any, inbox: Any) -> None:
    _as_an_older_process(
        inbox,
        "UPDATE conversations_inbox SET name = 'Old', accent = '#000000', greeting = 'Ola', allowed_origins = %s "
        "WHERE id = %s",
        ["https://a.example", "https://b.example"],
    )
    found = inbox_get(tenant_id=tenant.id, inbox_id=inbox.id)
    assert (found.name, widget_settings(found).allowed_origins) == ("Old", ["https://a.example", "https://b.example"])
    assert (found.settings["accent"], found.settings["greeting"]) == ("#000000", "Ola")


def test_an_inbox_that_the_version_before_makes_is_a_widget(tenant: Any, inbox: Any) -> None:
    _as_an_older_process(
        inbox,
        "INSERT INTO conversations_inbox (id, tenant_id, name, widget_token, allowed_origins, accent, greeting, "
        "suggested_questions, locale, bot_enabled, collections, identity_secret, created_at) "
        "SELECT gen_random_uuid(), tenant_id, 'Old', 'wgt_old', '{}', '#111111', 'Hey', ARRAY['Why?'], 'en', true, '{}', "
        "'s', now() FROM conversations_inbox WHERE id = %s",
    )
    with tenant_scope(tenant.id):
        row = Inbox.objects.get(name="Old")
    settings = {"allowed_origins": [], "accent": "#111111", "greeting": "Hey", "suggested_questions": ["Why?"]}
    assert (row.channel, row.channel_settings) == ("widget", settings)


def test_the_version_before_reads_other_kinds_as_empty_widgets(tenant: Any, letters: ChannelKind) -> None:
    made = inbox_create(tenant_id=tenant.id, name="Post", channel="letters", settings={"address": "a@b.example"})
    assert _columns(made) == ([], "#2f5bea", "", [])


def test_inboxes_of_before_get_their_settings(
    transactional_db: None, tenant: Any, inbox: Any, other_inbox: Any
) -> None:
    from tests.superuser import superuser

    with superuser() as server:
        server.execute("ALTER TABLE conversations_inbox DISABLE TRIGGER conversations_inbox_settings")
        server.execute("UPDATE conversations_inbox SET channel_settings = '{}', greeting = 'as before'")
        server.execute("ALTER TABLE conversations_inbox ENABLE TRIGGER conversations_inbox_settings")
        server.execute("SET ROLE app_owner")
        server.execute(OF_BEFORE.FILL)
    for one in (inbox, other_inbox):
        found = inbox_get(tenant_id=one.tenant_id, inbox_id=one.id)
        assert widget_settings(found) == WidgetSettings(
            allowed_origins=widget_settings(one).allowed_origins, greeting="as before"
        )
