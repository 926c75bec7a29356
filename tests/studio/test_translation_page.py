"""The page of translation without a browser: who sees it, and that its scripts ask only for texts that exist."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from apps.accounts.services import member_create
from apps.studio.messages import STUDIO_MESSAGES
from apps.studio.messages_translation import TRANSLATION_MESSAGES

KEY = re.compile(r'\bt\("(\w+)"')


def page(tenant: Any, role: str, query: str = "") -> Any:
    member = member_create(
        tenant_id=tenant.id, email=f"{role}@acme.example", name="x", role=role, password="a long password"
    )
    client = Client(headers={"Host": "127.0.0.1"})
    client.force_login(member)
    return client.get(f"/studio/translation/{query}")


@pytest.mark.parametrize(("role", "forms"), [("owner", 1), ("admin", 1), ("analyst", 1), ("agent", 0)])
def test_who_may_write_has_the_form_of_terms(tenant: Any, role: str, forms: int) -> None:
    answer = page(tenant, role, "?tab=glossary")
    assert answer.status_code == 200
    assert answer.content.count(b'data-part="form"') == forms


@pytest.mark.parametrize(
    ("query", "tab"),
    [
        ("", "documents"),
        ("?tab=glossary", "glossary"),
        ("?tab=memory", "memory"),
        ("?tab=%22%3E%3Cscript%3E", "documents"),
    ],
)
def test_the_address_says_which_list_is_shown(tenant: Any, query: str, tab: str) -> None:
    assert f'data-tab="{tab}"'.encode() in page(tenant, "owner", query).content


def test_nobody_sees_it_unsigned(db: None) -> None:
    answer = Client(headers={"Host": "127.0.0.1"}).get("/studio/translation/")
    assert answer.status_code == 302


def test_scripts_ask_only_for_texts_of_their_catalogue() -> None:
    paths = (Path(settings.BASE_DIR) / "static/studio").glob("translation*.js")
    asked = {key for path in paths for key in KEY.findall(path.read_text())}
    assert len(asked) > 20
    assert asked - set(STUDIO_MESSAGES | TRANSLATION_MESSAGES) == set()
