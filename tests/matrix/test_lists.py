"""A page of a list is read from an index in its order: no list reads all of an organisation's rows for fifty of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from apps.batches.selectors.batches import batches_list
from apps.conversations.selectors import conversations_list
from apps.core.ids import new_id
from apps.core.tenancy import tenant_scope
from apps.knowledge.selectors import sources_list
from apps.nlp.services.classifiers import classifiers_list
from apps.translation.services.documents import documents_list
from apps.translation.services.glossary import glossary_list
from apps.translation.services.memory import memory_list

pytestmark = pytest.mark.django_db
LISTS: dict[str, tuple[Callable[..., Any], dict[str, Any], str]] = {
    "batches": (batches_list, {}, "analysis_batch_tenant_id_uniq"),
    "classifiers": (classifiers_list, {}, "analysis_classifier_tenant_id_uniq"),
    "documents": (documents_list, {}, "analysis_document_list"),
    "glossary": (glossary_list, {}, "analysis_glossary_list"),
    "memory": (memory_list, {}, "analysis_memory_list"),
    "sources": (sources_list, {}, "knowledge_source_tenant_id_uniq"),
    "conversations": (conversations_list, {}, "conversation_recent"),
    "mine": (conversations_list, {"status": "open", "assignee": str(new_id())}, "conversation_mine"),
    "unassigned": (
        conversations_list,
        {"status": "open", "handler": "person", "assignee": "none"},
        "conversation_unassigned",
    ),
}


@pytest.mark.parametrize("name", sorted(LISTS))
def test_a_page_is_read_in_the_order_of_an_index(name: str, tenant: Any) -> None:
    """The index made for the list exists, and some index gives the page without sorting. Which one the planner takes among
    several depends on the statistics of tables that other tests fill; at size the benchmarks show it."""
    ask, given, index = LISTS[name]
    seen: list[tuple[str, Any]] = []

    def note(execute: Any, statement: str, params: Any, many: bool, context: Any) -> Any:
        seen.append((statement, params))
        return execute(statement, params, many, context)

    with tenant_scope(tenant.id):
        with connection.execute_wrapper(note):
            ask(tenant_id=tenant.id, **given)
        statement, params = next(one for one in seen if "ORDER BY" in one[0])
        with connection.cursor() as cursor:
            cursor.execute(
                "SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_sort = off"
            )
            cursor.execute(f"EXPLAIN {statement}", params)
            plan = "\n".join(line for (line,) in cursor.fetchall())
            cursor.execute("SELECT indexname FROM pg_indexes WHERE schemaname = 'public'")
            indexes = {name for (name,) in cursor.fetchall()}
    assert index in indexes
    assert "Index Scan" in plan
    assert "Sort" not in plan
