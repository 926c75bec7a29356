"""Events on the operators' page: what did not arrive, and trying it again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from apps.accounts.services import member_create, operator_set
from apps.accounts.types import ROLES
from apps.console import views
from apps.core.clock import now
from apps.core.ids import new_id
from apps.core.tenancy import tenant_scope
from apps.events.models import AuditEntry, Delivery
from apps.events.selectors import handlers_behind

pytestmark = pytest.mark.django_db
RETRY = "/operations/deliveries/retry"


def _waiting(tenant: Any, handler: str, state: str, count: int = 1, *, age_s: int = 5) -> None:
    at = now() - timedelta(seconds=age_s)
    rows = [
        Delivery(
            tenant_id=tenant.id,
            event_id=new_id(),
            subject_id=new_id(),
            handler=handler,
            state=state,
            attempts=10,
            next_attempt_at=at,
            created_at=at,
            error="ValueError" if state == "dead" else "",
        )
        for _ in range(count)
    ]
    Delivery.objects.bulk_create(rows)


def _client(user: Any, **options: Any) -> Client:
    client = Client(headers={"Host": "127.0.0.1"}, **options)
    client.force_login(user)
    return client


@pytest.fixture
def operator(member: Any) -> Any:
    operator_set(email=member.email)
    return member


def test_each_handler_tells_what_waits_since_when_and_what_failed(tenant: Any, other_tenant: Any) -> None:
    _waiting(tenant, "a.slow", "pending", 2, age_s=300)
    _waiting(other_tenant, "a.slow", "pending", age_s=10)
    _waiting(other_tenant, "b.broken", "dead", 3)
    _waiting(tenant, "c.new", "unknown")
    shown = [(one.handler, one.pending, one.dead, one.unknown, one.error) for one in handlers_behind()]
    assert shown == [("b.broken", 0, 3, 0, "ValueError"), ("c.new", 0, 0, 1, ""), ("a.slow", 3, 0, 0, "")]
    oldest = handlers_behind()[2].oldest_at
    assert oldest is not None
    assert now() - oldest >= timedelta(seconds=300)


def test_the_page_asks_for_figures_that_name_no_organisation(
    tenant: Any, operator: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    _waiting(tenant, "b.broken", "dead", 3)
    monkeypatch.setattr(views.connection, "close", lambda: None)
    monkeypatch.setattr(views, "_backlog", _Here())  # in this thread: another one does not see the test's rows
    answer = _client(operator).get("/operations/deliveries")
    assert answer.status_code == 200
    (shown,) = answer.json()["handlers"]
    assert (shown["handler"], shown["dead"], shown["waiting_s"]) == ("b.broken", 3, None)
    assert str(tenant.id) not in answer.content.decode()


class _Here:
    def run(self) -> dict[str, Any]:
        return {"deliveries": views._deliveries_view()}


def test_a_database_that_does_not_answer_is_said(operator: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views._backlog, "run", lambda: {"deliveries": None})
    answer = _client(operator).get("/operations/deliveries")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "unavailable")
    assert answer["Retry-After"] == "2"


def test_an_operator_tries_again_what_failed_and_each_organisation_has_it_in_its_trail(
    tenant: Any, other_tenant: Any, operator: Any
) -> None:
    _waiting(tenant, "b.broken", "dead", 2)
    _waiting(other_tenant, "b.broken", "dead")
    _waiting(tenant, "c.other", "dead")
    answer = _client(operator).post(RETRY, {"handler": "b.broken"})
    assert (answer.status_code, answer.json()) == (200, {"retried": 3})
    assert set(Delivery.objects.values_list("handler", "state", "attempts")) == {
        ("b.broken", "pending", 0),
        ("c.other", "dead", 10),
    }
    trail = []
    for organization in (tenant, other_tenant):
        with tenant_scope(organization.id):
            rows = AuditEntry.objects.filter(action="deliveries.retried")
            trail += list(rows.values_list("actor", "target", "data"))
    assert trail == [
        (f"user:{operator.id}", "b.broken", {"count": 2}),
        (f"user:{operator.id}", "b.broken", {"count": 1}),
    ]


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(("method", "path"), [("get", "/operations/deliveries"), ("post", RETRY)])
def test_no_role_of_an_organisation_sees_or_retries(tenant: Any, role: str, method: str, path: str) -> None:
    _waiting(tenant, "b.broken", "dead")
    user = member_create(tenant_id=tenant.id, email="m@acme.example", name="M", role=role, password=None)
    answer = getattr(_client(user), method)(path, {"handler": "b.broken"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "operator_required")
    assert Delivery.objects.get().state == "dead"


def test_a_stranger_retries_nothing(tenant: Any) -> None:
    _waiting(tenant, "b.broken", "dead")
    assert Client(headers={"Host": "127.0.0.1"}).post(RETRY, {"handler": "b.broken"}).status_code == 302
    assert Delivery.objects.get().state == "dead"


def test_another_site_retries_nothing_in_an_operators_name(tenant: Any, operator: Any) -> None:
    _waiting(tenant, "b.broken", "dead")
    assert _client(operator, enforce_csrf_checks=True).post(RETRY, {"handler": "b.broken"}).status_code == 403
    assert _client(operator).get(RETRY).status_code == 405
    assert Delivery.objects.get().state == "dead"


@pytest.mark.parametrize("handler", ["", "x" * 65, None])
def test_a_retry_names_its_handler(operator: Any, handler: str | None) -> None:
    answer = _client(operator).post(RETRY, {"handler": handler} if handler is not None else {})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "handler_missing")


def test_a_handler_that_nothing_died_at_is_no_error(operator: Any) -> None:
    assert _client(operator).post(RETRY, {"handler": "no.such"}).json() == {"retried": 0}
