"""Every list route asks the database as often for ten rows as for one. Routes are found by looking, so a new one is covered.

A list whose rows are not made more of in `world_grow` fails, and says so: make some there.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.core.tenancy import tenant_scope
from apps.nlp.services.classifiers import classifier_teach
from apps.translation.models import TranslatedDocument
from tests.conftest import ApiClient
from tests.matrix.operations import OPERATIONS, Operation
from tests.matrix.world import World, world_create, world_grow

pytestmark = pytest.mark.django_db

ROWS = 9
# Lists of what the code has: their length is fixed.
FIXED = {"/analysis/translation/languages", "/knowledge/vectors", "/nlp"}


@pytest.fixture(autouse=True)
def _no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.jobs.services.enqueue.broker_hint", lambda *_: None)


@pytest.fixture
def world() -> World:
    return world_create("A")


def _lists(world: World) -> Iterator[tuple[Operation, str]]:
    """Every GET operation that can be filled with the world's ids."""
    for operation in OPERATIONS:
        if operation.method == "GET" and set(operation.path_parameters) <= set(world.ids):
            yield operation, operation.fill(world.ids)


def _rows(body: Any) -> int | None:
    """How many rows a list's answer has; None for what is no list."""
    if isinstance(body, list):
        return len(body)
    lists = [value for value in body.values() if isinstance(value, list)] if isinstance(body, dict) else []
    return (
        len(body["items"]) if isinstance(body, dict) and isinstance(body.get("items"), list) else _longest(lists, body)
    )


def _longest(lists: list[Any], body: Any) -> int | None:
    return max(map(len, lists)) if set(body) <= {"results", "messages", "next_cursor", "has_more"} and lists else None


def _asked(world: World, path: str) -> tuple[int | None, int]:
    """Rows and queries of one call. The second of two: what is read once for a process is read."""
    client = ApiClient(world.key)
    client.get(path)
    with CaptureQueriesContext(connection) as found:
        response = client.get(path)
    plain = response.get("Content-Type", "").startswith("application/json") and response.status_code == 200
    return (_rows(response.json()) if plain else None), len(found)


def test_lists_ask_as_often_for_ten_rows_as_for_one(world: World) -> None:
    world_grow(world, 0)  # one of each kind of row: with an author, with a job under way
    before = {path: _asked(world, path) for _, path in _lists(world)}
    for number in range(ROWS):
        world_grow(world, number + 1)
    after = {path: _asked(world, path) for _, path in _lists(world)}
    lists = {path for path, (rows, _) in before.items() if rows is not None}
    assert len(lists) > 12
    grown = {path for path in lists if (after[path][0] or 0) >= (before[path][0] or 0) + ROWS}
    more_queries = {path: (before[path][1], after[path][1]) for path in lists if after[path][1] > before[path][1]}
    assert more_queries == {}
    assert lists - grown == FIXED


def test_documents_and_sources_in_progress_ask_together(world: World) -> None:
    """They ask for the progress of their jobs."""
    for number in range(3):
        world_grow(world, number)
    with tenant_scope(world.tenant_id):
        TranslatedDocument.objects.filter(job_id=None).delete()
        first = TranslatedDocument.objects.earliest("created_at").id
        TranslatedDocument.objects.exclude(id=first).update(status="queued")
        TranslatedDocument.objects.filter(id=first).update(status="running")
    one = _asked(world, "/analysis/translation/documents")
    with tenant_scope(world.tenant_id):
        TranslatedDocument.objects.update(status="running")
    assert _asked(world, "/analysis/translation/documents") == one


def test_teaching_many_known_examples_takes_as_many_statements_as_few(world: World) -> None:
    counts = []
    reference = world.ids["classifier_id"]
    numbers = itertools.count()
    for size in (2, 40):
        texts = [f"{next(numbers)} words" for _ in range(size)]
        for labels in (("a", "b"), ("b", "a")):
            examples = [{"text": text, "label": label} for text in texts for label in (labels[len(text) % 2],)]
            examples += [{"text": f"{label} {n} {size}", "label": label} for label in ("a", "b") for n in range(2)]
            _trained(world)
            with CaptureQueriesContext(connection) as found:
                classifier_teach(
                    tenant_id=world.tenant_id, reference=reference, examples=examples, replace=False, actor="test"
                )
        counts.append(len(found))
    assert counts[0] == counts[1]


def _trained(world: World) -> None:
    from apps.nlp.models import ClassifierVersion

    with tenant_scope(world.tenant_id):
        ClassifierVersion.objects.filter(status="training").update(status="ready")
