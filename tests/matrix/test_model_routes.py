"""The model routes (/v1, /tei) ask who calls and may they, and tell nothing of another organisation (E1).

They are plain views and in no OpenAPI document of ours, so they are found in the table of routes. A new one fails here
until it has a body.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from apps.accounts.services import api_key_create
from apps.accounts.types import ROLE_SCOPES, SCOPES
from tests import fakes
from tests.matrix.rows import rows_of
from tests.matrix.world import World, world_create

PREFIXES = ("v1", "tei")
OPEN = {"tei/health"}
CHAT, EMBEDDING = "smollm2-135m-instruct", "all-minilm-l6-v2"
TURNS = [{"role": "user", "content": "cnry-B"}]
BODIES: dict[str, Any] = {
    "v1": None,
    "v1/": None,
    "v1/<anything:path>": None,
    "v1/models": None,
    "v1/models/<path:name>": None,
    "v1/chat/completions": {"model": CHAT, "messages": TURNS},
    "v1/completions": {"model": CHAT, "prompt": "cnry-B"},
    "v1/embeddings": {"model": EMBEDDING, "input": "cnry-B"},
    "tei": {"inputs": "cnry-B"},
    "tei/": {"inputs": "cnry-B"},
    "tei/<anything:path>": None,
    "tei/embed": {"inputs": "cnry-B"},
    "tei/predict": {"inputs": "cnry-B"},
    "tei/rerank": {"query": "cnry-B", "texts": ["cnry-B"]},
    "tei/similarity": {"inputs": {"source_sentence": "cnry-B", "sentences": ["cnry-B"]}},
    "tei/token_classification": {"inputs": "cnry-B"},
    "tei/info": None,
    "tei/health": None,
}


def _routes(resolver: URLResolver, prefix: str = "") -> list[str]:
    found: list[str] = []
    for entry in resolver.url_patterns:
        path = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            found += _routes(entry, path)
        elif isinstance(entry, URLPattern) and path.split("/")[0] in PREFIXES:
            found.append(path)
    return found


ROUTES = sorted(set(_routes(get_resolver())))
CLOSED = [path for path in ROUTES if path not in OPEN]


@pytest.fixture(scope="module")
def worlds(django_db_setup: None, django_db_blocker: Any) -> Iterator[tuple[World, World]]:
    """Made once, in a transaction that ends with the module; each test runs in one inside it."""
    with django_db_blocker.unblock(), transaction.atomic():
        yield world_create("A"), world_create("B")
        transaction.set_rollback(True)


@pytest.fixture(autouse=True)
def _rolled_back(worlds: tuple[World, World], django_db_blocker: Any) -> Iterator[None]:
    with django_db_blocker.unblock(), transaction.atomic():
        yield
        transaction.set_rollback(True)


@pytest.fixture(autouse=True)
def models(monkeypatch: pytest.MonkeyPatch) -> fakes.FakeModels:
    return fakes.install(monkeypatch, fakes.FakeModels(lambda request: "Fine."))


def _call(path: str, headers: dict[str, str]) -> Any:
    body = BODIES[path]
    url = "/" + path.replace("<path:name>", CHAT).replace("<anything:path>", "nothing")
    client = Client(headers={"Host": "127.0.0.1", **headers})
    if body is None:
        return client.get(url)
    return client.post(url, json.dumps(body), content_type="application/json")


def _bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def test_every_route_is_known_here() -> None:
    assert sorted(BODIES) == ROUTES


@pytest.mark.parametrize("path", CLOSED)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer "},
        {"Authorization": "Bearer nls_unknown"},
        {"Authorization": "Basic eDp5"},
        {"Authorization": "Bearer \u00e9"},
        {"Authorization": "Bearer " + "x" * 5000},
    ],
    ids=lambda headers: str(headers)[:40],
)
def test_without_a_valid_key_the_answer_is_401(path: str, headers: dict[str, str]) -> None:
    answer = _call(path, headers)
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert set(answer.json()) in ({"error"}, {"error", "error_type"})


@pytest.mark.parametrize("path", CLOSED)
def test_a_session_is_no_key(path: str, worlds: tuple[World, World]) -> None:
    """No page of another site can make a signed-in member's browser call these."""
    client = Client(headers={"Host": "127.0.0.1"})
    client.force_login(worlds[0].owner)
    url = "/" + path.replace("<path:name>", CHAT).replace("<anything:path>", "nothing")
    answer = (
        client.get(url) if BODIES[path] is None else client.post(url, BODIES[path], content_type="application/json")
    )
    assert answer.status_code == 401


@pytest.mark.parametrize("path", CLOSED)
def test_every_other_scope_together_is_not_enough(path: str, worlds: tuple[World, World]) -> None:
    others = [scope for scope in SCOPES if scope != "inference:use"]
    narrow = api_key_create(tenant_id=worlds[0].tenant_id, name="narrow", scopes=others)[1]
    assert _call(path, _bearer(narrow)).status_code == 403


@pytest.mark.parametrize("path", CLOSED)
def test_the_scope_alone_is_enough(path: str, worlds: tuple[World, World]) -> None:
    key = api_key_create(tenant_id=worlds[0].tenant_id, name="wide", scopes=["inference:use"])[1]
    assert _call(path, _bearer(key)).status_code not in {401, 403}


@pytest.mark.parametrize("path", ROUTES)
def test_a_call_works_for_its_own_organisation_and_changes_nothing(
    path: str, worlds: tuple[World, World], models: fakes.FakeModels
) -> None:
    a, b = worlds
    before = rows_of(b.tenant_id), rows_of(a.tenant_id, without=frozenset({"last_used_at"}))
    answer = _call(path, _bearer(a.key))
    assert models.tenants <= {a.tenant_id}
    assert b.canary not in answer.content.decode()
    assert (rows_of(b.tenant_id), rows_of(a.tenant_id, without=frozenset({"last_used_at"}))) == before


def test_a_role_has_the_scope_or_has_not() -> None:
    having = {role for role, scopes in ROLE_SCOPES.items() if "inference:use" in scopes}
    assert having == {"owner", "admin", "analyst"}
