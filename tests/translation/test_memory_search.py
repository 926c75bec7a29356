"""Approved translations are found by the words of their texts, from an index."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection

from apps.core.tenancy import tenant_scope
from apps.translation.models import MemoryTerm, MemoryUnit
from apps.translation.services import memory
from apps.translation.services.memory import memory_add, memory_delete, memory_list, memory_terms_follow
from tests.conftest import ApiClient

pytestmark = pytest.mark.django_db
LANGUAGES = {"source": "en", "target": "pt"}
TEXTS = ("Where is my Parcel 20231?", "Your refund is on its way", "The Café is closed", "我想要退款")


@pytest.fixture(autouse=True)
def units(tenant: Any) -> None:
    memory_add(tenant_id=tenant.id, **LANGUAGES, units=[(text, "x") for text in TEXTS])


def _found(tenant: Any, q: str) -> list[str]:
    return [unit.text for unit in memory_list(tenant_id=tenant.id, q=q)[0]]


@pytest.fixture(params=[memory._FEW, 0], ids=["few say it", "many say it"])
def either_way(request: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What few units say is looked up by their ids, what many say in the list's order; both find the same."""
    monkeypatch.setattr(memory, "_FEW", request.param)


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("parcel", [0]), ("par my", [0]), ("2023", [0]), ("is", [2, 1, 0]), ("cafe", [2]), ("REFUND way", [1]),
        ("退款", [3]), ("款", [3]),
        ("arcel", []), ("parcel refund", []), ("?!", []), ("%", []), ("\x00", []), ("x" * 300, []),
    ],
)  # fmt: skip
def test_all_words_are_found_by_their_beginnings(tenant: Any, q: str, found: list[int]) -> None:
    assert sorted(_found(tenant, q)) == sorted(TEXTS[number] for number in found)


def test_the_api_searches_and_pages(api: ApiClient) -> None:
    first = api.get("/analysis/translation/memory?q=is&limit=2").json()
    second = api.get(f"/analysis/translation/memory?q=is&limit=2&cursor={first['next_cursor']}").json()
    assert sorted(unit["text"] for unit in first["items"] + second["items"]) == sorted(TEXTS[:3])


def test_words_of_another_organisation_find_nothing(other_tenant: Any) -> None:
    assert _found(other_tenant, "parcel") == []


def test_a_text_that_is_approved_again_is_found_once(tenant: Any) -> None:
    memory_add(tenant_id=tenant.id, **LANGUAGES, units=[(f"  {TEXTS[1]} ", "y")])
    assert _found(tenant, "refund") == [TEXTS[1]]


def test_terms_go_with_their_unit(tenant: Any) -> None:
    ((unit,), _) = memory_list(tenant_id=tenant.id, q="refund")
    memory_delete(tenant_id=tenant.id, unit_id=unit.id)
    with tenant_scope(tenant.id):
        assert not MemoryTerm.objects.filter(unit_id=unit.id).exists()
        assert MemoryTerm.objects.exists()


def test_what_has_no_terms_yet_is_found_and_gets_them(tenant: Any) -> None:
    """As a process of the version before keeps it."""
    with tenant_scope(tenant.id):
        MemoryTerm.objects.all().delete()
        MemoryUnit.objects.update(termed=False)
    assert (_found(tenant, "my parcel"), _found(tenant, "parcel my")) == ([TEXTS[0]], [])
    assert (memory_terms_follow(), memory_terms_follow()) == (4, 0)
    assert (_found(tenant, "parcel my"), _found(tenant, "arcel")) == ([TEXTS[0]], [])


def test_a_search_is_looked_up_in_an_index(tenant: Any) -> None:
    seen = []

    def note(execute: Any, statement: str, params: Any, many: bool, context: Any) -> Any:
        seen.append((statement, params))
        return execute(statement, params, many, context)

    with tenant_scope(tenant.id), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        with connection.execute_wrapper(note):
            memory_list(tenant_id=tenant.id, q="parcel")
        statement, params = next(one for one in seen if "DISTINCT unit_id" in one[0])
        cursor.execute(f"EXPLAIN {statement}", params)
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "analysis_memoryterm_pkey" in plan
    assert any("Index Cond" in line and "term >= 'parcel'" in line for line in plan.splitlines()), plan
