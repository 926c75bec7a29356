"""No route gives or changes what belongs to another organisation (E1), and each asks who calls and may they."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from apps.accounts.services import api_key_create, member_create
from apps.accounts.types import ROLE_SCOPES, SCOPES
from tests import fakes
from tests.conftest import ApiClient
from tests.matrix.operations import OPERATIONS, WITH_IDS, Operation, body_properties
from tests.matrix.rows import rows_of
from tests.matrix.world import SUBJECT, World, world_create

# Path parameters and how a test finds an object for them: the key in World.ids.
KNOWN_IDS = {"conversation_id", "source_id", "key_id", "message_id", "inbox_id", "user_id", "batch_id"}
KNOWN_IDS |= {"entry_id", "unit_id", "document_id", "classifier_id", "invitation_id", "contact_id", "attachment_id"}
# References that a body or a query may hold, and references that are the caller's own invention.
BODY_REFERENCES = {("POST /conversations", "inbox"), ("PATCH /conversations/{conversation_id}", "assignee_id")}
QUERY_REFERENCES = {("GET /conversations", "assignee")}
INVENTED = {"client_id", "external_id"}
# The caller's own names: for an item of a batch, for a contact that a proof is about.
INVENTED_THERE = {("POST /jobs", "id"), ("POST /conversations", "id")}
# Its values are texts only where an organisation has set phrases.
# Lists that are the same for everybody.
WITHOUT_TEXT = {
    "GET /accounts/settings",
    "GET /analysis/translation/languages",
    "GET /knowledge/vectors",
    "GET /nlp",
}
OPEN_TO_ALL_SCOPES = {"GET /accounts/me"}
# Without a key: what is asked for is in the body's token (tests/accounts/test_invitations.py).
PUBLIC = {"POST /accounts/invitations/preview", "POST /accounts/invitations/accept"}
MALFORMED = ["x", "%00", "0", "..%2F..", "00000000-0000-0000-0000-00000000000g", "é" * 300, "null", "-1"]
NO_CREDENTIALS: list[dict[str, str]] = [
    {},
    {"Authorization": "Bearer "},
    {"Authorization": "Bearer nls_unknown"},
    {"Authorization": "Basic eDp5"},
    {"Authorization": "Bearer \u00e9"},
    {"Authorization": "Bearer " + "x" * 5000},
]


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


@pytest.fixture
def a(worlds: tuple[World, World]) -> World:
    return worlds[0]


@pytest.fixture
def b(worlds: tuple[World, World]) -> World:
    return worlds[1]


@pytest.fixture(autouse=True)
def models(monkeypatch: pytest.MonkeyPatch) -> fakes.FakeModels:
    return fakes.install(monkeypatch, fakes.FakeModels())


def _answer(key: str, operation: Operation, path: str) -> tuple[int, str]:
    """Status and body without the request's own id."""
    response = ApiClient(key).request(operation.method, path, operation.body())
    return response.status_code, _normal(response)


def _normal(response: Any) -> str:
    # A file that is streamed is read by tests of its own; who may not have it gets an ordinary answer.
    text = "" if response.streaming else response.content.decode()
    return text.replace(response.headers.get("X-Request-ID", "-"), "")


def _missing(operation: Operation) -> str:
    return operation.fill({name: str(uuid.uuid4()) for name in operation.path_parameters})


# -- discovery -------------------------------------------------------------------------------------------------------
def test_every_path_parameter_is_known_here() -> None:
    assert {name for operation in OPERATIONS for name in operation.path_parameters} <= KNOWN_IDS


def test_every_reference_in_a_body_is_known_here() -> None:
    found = {
        (str(operation), name)
        for operation in OPERATIONS
        for name in body_properties(operation.body_schema)
        if (name.endswith("_id") or name in {"id", "inbox"}) and name not in INVENTED
    }
    assert found - INVENTED_THERE == BODY_REFERENCES


def test_every_reference_in_a_query_is_known_here() -> None:
    plain = {"collection", "cursor", "limit", "q", "k", "status", "handler", "label", "after_seq"}
    plain |= {"mood", "language", "intent", "external_id"}
    plain |= {"format", "source", "topic", "since", "until", "purge", "target"}
    found = {(str(operation), name) for operation in OPERATIONS for name in operation.query_parameters}
    assert {(operation, name) for operation, name in found if name not in plain} == QUERY_REFERENCES


# -- ids of others ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("operation", WITH_IDS, ids=str)
def test_a_foreign_id_looks_missing(operation: Operation, a: World, b: World) -> None:
    foreign = _answer(a.key, operation, operation.fill(b.ids))
    assert foreign == _answer(a.key, operation, _missing(operation))
    assert foreign[0] == 404


@pytest.mark.parametrize("operation", WITH_IDS, ids=str)
def test_the_owner_of_the_id_gets_through(operation: Operation, a: World) -> None:
    """The control of the test above: the id and the body are good."""
    assert _answer(a.key, operation, operation.fill(a.ids))[0] in {200, 201, 202, 204, 409}


@pytest.mark.parametrize("operation", WITH_IDS, ids=str)
def test_a_malformed_id_is_missing_and_no_error(operation: Operation, a: World) -> None:
    paths = [operation.fill(dict.fromkeys(operation.path_parameters, raw)) for raw in MALFORMED]
    assert [_answer(a.key, operation, path)[0] for path in paths] == [404] * len(MALFORMED)


@pytest.mark.parametrize("operation", WITH_IDS, ids=str)
def test_a_foreign_id_changes_nothing(operation: Operation, a: World, b: World) -> None:
    before = rows_of(b.tenant_id)
    ApiClient(a.key).request(operation.method, operation.fill(b.ids), operation.body())
    assert rows_of(b.tenant_id) == before


@pytest.mark.parametrize("name", ["inbox"])
def test_a_foreign_inbox_in_a_body_looks_missing(name: str, a: World, b: World) -> None:
    foreign = ApiClient(a.key).post("/conversations", {name: b.ids[name]})
    missing = ApiClient(a.key).post("/conversations", {name: str(uuid.uuid4())})
    assert (foreign.status_code, _normal(foreign)) == (missing.status_code, _normal(missing))
    assert foreign.status_code == 404


def test_a_foreign_member_in_a_body_looks_missing(a: World, b: World) -> None:
    path = f"/conversations/{a.ids['conversation_id']}"
    foreign = ApiClient(a.key).patch(path, {"assignee_id": b.ids["assignee_id"]})
    missing = ApiClient(a.key).patch(path, {"assignee_id": str(uuid.uuid4())})
    assert (foreign.status_code, _normal(foreign)) == (missing.status_code, _normal(missing))
    assert foreign.status_code == 404


def test_a_foreign_member_in_a_query_finds_nothing(a: World, b: World) -> None:
    found = ApiClient(a.key).get(f"/conversations?assignee={b.ids['assignee_id']}")
    assert found.json() == {"items": [], "next_cursor": None}


# -- texts of others -------------------------------------------------------------------------------------------------
def _queries(operation: Operation, b: World) -> list[str]:
    """Queries that try to find B's texts by every parameter that takes text."""
    names = [name for name, schema in operation.query_parameters.items() if schema.get("type") == "string"]
    tries = [f"{name}={value}" for name in names for value in (b.canary, b.canary.lower(), SUBJECT, "cnry-B")]
    needed = "q=pallets&" if "q" in operation.query_parameters else ""
    return [needed, *(needed + one if not one.startswith("q=") else one for one in tries)]


@pytest.mark.parametrize("operation", [o for o in OPERATIONS if not o.path_parameters], ids=str)
def test_no_answer_holds_a_text_of_another_organisation(operation: Operation, a: World, b: World) -> None:
    client = ApiClient(a.key)
    body = operation.body()
    if isinstance(body, dict):
        body = {name: SUBJECT if value == "x" else value for name, value in body.items()}
    bodies = [
        _normal(client.request(operation.method, f"{operation.path}?{query}", body)) for query in _queries(operation, b)
    ]
    assert [text for text in bodies if "cnry-b" in text.lower()] == []


def test_a_listing_of_ones_own_does_hold_the_canary(a: World) -> None:
    """The control of the test above: the canary is where it would leak from. Asked with the whole subject: with one word
    the stand-in for meaning is near its limit, and the letters of a canary can push it below."""
    texts = [(o, _normal(ApiClient(a.key).get(f"{o.path}?q={SUBJECT}"))) for o in OPERATIONS if _is_listing(o)]
    assert [str(o) for o, text in texts if a.canary not in text] == []


def _is_listing(operation: Operation) -> bool:
    return operation.method == "GET" and not operation.path_parameters and str(operation) not in WITHOUT_TEXT


def test_an_answer_is_made_from_ones_own_documents(a: World, b: World, models: fakes.FakeModels) -> None:
    answer = ApiClient(a.key).post("/assistant/answer", {"question": f"When do {SUBJECT}? {b.canary}"})
    assert answer.status_code == 200
    assert b.canary not in answer.content.decode()
    assert models.tenants == {a.tenant_id}
    assert [b.canary in prompt.split("Question:")[0] for prompt in models.prompts] == [False] * len(models.prompts)


def test_a_cursor_of_another_organisation_opens_nothing(a: World, b: World) -> None:
    other = ApiClient(b.key)
    other.post("/conversations", {})
    other.post(f"/conversations/{_newest(other)}/messages", {"role": "contact", "text": "second"})
    cursor = other.get("/conversations?limit=1").json()["next_cursor"]
    page = ApiClient(a.key).get(f"/conversations?cursor={cursor}")
    assert b.canary not in page.content.decode()


def _newest(client: ApiClient) -> str:
    return client.post("/conversations", {}).json()["id"]


# -- who calls, and may they -----------------------------------------------------------------------------------------
def test_the_public_routes_are_a_fixed_list() -> None:
    assert {str(o) for o in OPERATIONS if "security" not in o.spec} == PUBLIC


@pytest.mark.parametrize("operation", [o for o in OPERATIONS if str(o) not in PUBLIC], ids=str)
def test_without_a_valid_key_the_answer_is_401_in_the_one_shape(operation: Operation, a: World) -> None:
    path = f"/api/v1{operation.fill(a.ids)}"
    found = [
        Client(headers={"Host": "127.0.0.1", **headers}).generic(
            operation.method, path, "{}", content_type="application/json"
        )
        for headers in NO_CREDENTIALS
    ]
    shapes = {
        (r.status_code, tuple(r.json()), tuple(sorted(r.json()["error"])), r.headers.get("WWW-Authenticate"))
        for r in found
    }
    assert shapes == {(401, ("error",), ("code", "message", "request_id"), "Bearer")}


def _with_scopes(world: World, scopes: list[str]) -> ApiClient:
    return ApiClient(api_key_create(tenant_id=world.tenant_id, name="narrow", scopes=scopes)[1])


def _with_query(operation: Operation, path: str) -> str:
    """The path with the query parameters that have no default."""
    return path + ("?q=pallets" if "q" in operation.query_parameters else "")


def _needed_scope(operation: Operation, world: World) -> str:
    path = _with_query(operation, operation.fill(world.ids))
    refused = _with_scopes(world, []).request(operation.method, path, operation.body())
    assert refused.status_code == 403
    assert refused.json()["error"]["code"] == "scope_missing"
    return refused.json()["error"]["details"]["scope"]


SCOPED = [operation for operation in OPERATIONS if str(operation) not in OPEN_TO_ALL_SCOPES | PUBLIC]


@pytest.mark.parametrize("operation", SCOPED, ids=str)
def test_every_other_scope_together_is_not_enough(operation: Operation, a: World) -> None:
    needed = _needed_scope(operation, a)
    others = _with_scopes(a, [scope for scope in SCOPES if scope != needed])
    path = _with_query(operation, operation.fill(a.ids))
    assert others.request(operation.method, path, operation.body()).status_code == 403


@pytest.mark.parametrize("operation", [o for o in SCOPED if o.method != "GET"], ids=str)
def test_no_reading_scope_is_enough_to_write(operation: Operation, a: World) -> None:
    assert _needed_scope(operation, a).split(":")[1] in {"write", "answer", "use"}


@pytest.mark.parametrize("role", sorted(ROLE_SCOPES))
@pytest.mark.parametrize("operation", SCOPED, ids=str)
def test_a_member_may_what_the_role_may(operation: Operation, role: str, a: World) -> None:
    user = member_create(tenant_id=a.tenant_id, email="m@a.example", name="M", role=role, password=None)
    client = Client(headers={"Host": "127.0.0.1"})
    client.force_login(user)
    body = operation.body()
    response = client.generic(
        operation.method,
        f"/api/v1{operation.fill(a.ids)}?q=pallets",
        json.dumps(body) if body is not None else "",
        content_type="application/json",
    )
    assert (response.status_code == 403) == (_needed_scope(operation, a) not in ROLE_SCOPES[role])


@pytest.mark.parametrize("operation", [o for o in OPERATIONS if o.method != "GET"], ids=str)
def test_a_session_without_the_csrf_token_may_not_write(operation: Operation, a: World) -> None:
    client = Client(headers={"Host": "127.0.0.1"}, enforce_csrf_checks=True)
    client.force_login(a.owner)
    response = client.generic(
        operation.method, f"/api/v1{operation.fill(a.ids)}", "{}", content_type="application/json"
    )
    assert response.status_code == 403
    assert response.json()["error"]["code"] == "csrf_failed"


def test_a_session_stays_in_the_organisations_of_its_user(a: World, b: World) -> None:
    client = Client(headers={"Host": "127.0.0.1"})
    client.force_login(a.owner)
    session = client.session
    session["active_organization"] = str(b.tenant_id)
    session.save()
    assert client.get("/api/v1/accounts/me").json()["organization"]["id"] == str(a.tenant_id)


def test_a_key_gives_nobody_more_than_it_has(a: World) -> None:
    narrow = _with_scopes(a, ["accounts:write"])
    assert narrow.post("/accounts/api-keys", {"name": "more", "scopes": ["knowledge:write"]}).status_code == 403


# -- staff pages -----------------------------------------------------------------------------------------------------
# Not ours, or no pages: the API is above, the model routes are in test_model_routes.py.
NO_PAGES = ("accounts/", "i18n/", "api/v1/", "v1", "tei", "libretranslate")


def _pages(resolver: URLResolver, prefix: str = "") -> list[tuple[str, URLPattern]]:
    found: list[tuple[str, URLPattern]] = []
    for entry in resolver.url_patterns:
        path = prefix + str(entry.pattern)
        if path.startswith(NO_PAGES):
            continue
        found += _pages(entry, path) if isinstance(entry, URLResolver) else [(path, entry)]
    return found


PAGES = [path for path, _ in _pages(get_resolver())]
PAGES_WITH_IDS = [path for path in PAGES if "<" in path]
PAGES_FOR_ALL = {"", "widget.js", "widget/frame", "healthz", "readyz", "metrics", "knowledge/passage"}


def _page(path: str, ids: dict[str, str]) -> str:
    return "/" + path.replace("<str:", "{").replace(">", "}").format(**ids)


@pytest.mark.parametrize("path", PAGES_WITH_IDS)
def test_a_foreign_id_in_a_page_looks_missing(path: str, a: World, b: World) -> None:
    client = Client(headers={"Host": "127.0.0.1"})
    client.force_login(a.owner)
    results = []
    for ids in (b.ids, {name: str(uuid.uuid4()) for name in b.ids}):
        response = client.post(_page(path, ids))
        results.append((response.status_code, [str(m) for m in client.get("/knowledge/").context["messages"]]))
    assert results[0] == results[1]
    assert ApiClient(b.key).get(f"/knowledge/sources/{b.ids['source_id']}").json()["status"] == "ready"


@pytest.mark.parametrize("path", [path for path in PAGES if path not in PAGES_FOR_ALL and "<" not in path])
def test_a_staff_page_asks_to_sign_in(path: str) -> None:
    response = Client(headers={"Host": "127.0.0.1"}).get("/" + path)
    assert response.status_code in {302, 405}
    assert response.status_code == 405 or response["Location"].startswith("/accounts/login/")


@pytest.mark.parametrize("path", [path for path in PAGES if "<" not in path and path != "knowledge/add"])
def test_no_page_holds_a_text_of_another_organisation(path: str, a: World, b: World) -> None:
    client = Client(headers={"Host": "127.0.0.1"})
    client.force_login(a.owner)
    assert "cnry-B" not in client.get(f"/{path}?q=pallets").content.decode()


def test_a_link_to_a_passage_opens_that_organisations_document_only(a: World, b: World) -> None:
    page = Client(headers={"Host": "127.0.0.1"}).get(b.ids["passage"]).content.decode()
    assert b.canary in page
    assert a.canary not in page
