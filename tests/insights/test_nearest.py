"""The nearest messages of one organisation among those of many: all of them, whichever way they are found."""

from __future__ import annotations

import uuid
from typing import Any

import numpy as np
import pytest
from django.db import connection

from apps.conversations.models import Message
from apps.conversations.services import conversation_create
from apps.core.tenancy import tenant_scope
from apps.insights.models import EMBEDDING_DIMENSIONS, MessageVector
from apps.insights.selectors import nearest
from apps.insights.selectors.nearest import messages_nearest

pytestmark = pytest.mark.django_db
Ids = list[uuid.UUID]
SPACE = "encoder@1"


def _write(tenant: Any, vectors: np.ndarray) -> Ids:
    """Write a message at each of the vectors; returns their ids."""
    conversation_id = conversation_create(tenant_id=tenant.id, contact={}).id
    with tenant_scope(tenant.id):
        common = {"tenant_id": tenant.id, "conversation_id": conversation_id, "role": "contact", "text": "x"}
        rows = Message.objects.bulk_create(
            Message(**common, seq=number + 1, prev_public_seq=number) for number in range(len(vectors))
        )
        MessageVector.objects.bulk_create(
            MessageVector(
                tenant_id=tenant.id, message=row, conversation_id=conversation_id, space=SPACE, embedding=vector
            )
            for row, vector in zip(rows, vectors, strict=True)
        )
    return [row.id for row in rows]


def _vectors(count: int, seed: int) -> np.ndarray:
    """Unit vectors in a few directions, as texts about a few subjects are."""
    dice = np.random.default_rng(seed)
    subjects = np.random.default_rng(0).normal(size=(12, EMBEDDING_DIMENSIONS))
    found = subjects[dice.integers(12, size=count)] + 0.6 * dice.normal(size=(count, EMBEDDING_DIMENSIONS))
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float16)


def _exact(ids: Ids, vectors: np.ndarray, query: np.ndarray, count: int) -> Ids:
    order = np.argsort(-(vectors.astype(np.float32) @ query.astype(np.float32)), kind="stable")
    return [ids[number] for number in order[:count]]


@pytest.fixture
def by_index(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every organisation counts as a large one, and the planner has nothing but the approximate index."""
    monkeypatch.setattr(nearest, "EXACT_MESSAGES", 0)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off; SET LOCAL enable_bitmapscan = off")


def _share(found: list[Any], wanted: Ids) -> float:
    return len({one.message_id for one in found} & set(wanted)) / len(wanted)


def test_a_small_organisation_is_read_exactly(tenant: Any, other_tenant: Any, inbox: Any, other_inbox: Any) -> None:
    mine, theirs, query = _vectors(200, 1), _vectors(300, 2), _vectors(1, 3)[0]
    ids = _write(tenant, mine)
    _write(other_tenant, theirs)
    found = messages_nearest(tenant_id=tenant.id, space=SPACE, vector=query, limit=20)
    assert {one.message_id for one in found} == set(_exact(ids, mine, query, 20))
    assert [one.distance for one in found] == sorted(one.distance for one in found)


def test_the_index_finds_nearly_the_same(
    tenant: Any, other_tenant: Any, inbox: Any, other_inbox: Any, by_index: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside an organisation with six times as many messages, and without the way out of reading all."""
    monkeypatch.setattr(nearest, "_EXACT", "nothing that the database could run")
    mine = _vectors(150, 1)
    _write(other_tenant, _vectors(900, 2))
    ids = _write(tenant, mine)
    shares = []
    for query in _vectors(10, 3):
        found = messages_nearest(tenant_id=tenant.id, space=SPACE, vector=query, limit=20)
        shares.append((len(found), _share(found, _exact(ids, mine, query, 20))))
    assert {count for count, _ in shares} == {20}
    assert sum(share for _, share in shares) / len(shares) >= 0.95


def test_the_way_through_the_index_was_taken(tenant: Any, inbox: Any, by_index: None) -> None:
    """The control of the test above."""
    _write(tenant, _vectors(5, 1))
    asked = {"tenant": tenant.id, "space": SPACE, "vector": str(_vectors(1, 3)[0].tolist()), "limit": 3}
    with tenant_scope(tenant.id), connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {nearest._BY_INDEX}", asked)
        assert "analysis_messagevector_hnsw" in "\n".join(line for (line,) in cursor.fetchall())


def test_what_the_index_gives_up_is_read_exactly(
    tenant: Any, other_tenant: Any, inbox: Any, other_inbox: Any, by_index: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A share of one in forty, and an index that is walked no further than its first steps."""
    monkeypatch.setattr(nearest, "_MAX_SCAN", 1)
    mine, query = _vectors(25, 1), _vectors(1, 3)[0]
    _write(other_tenant, _vectors(1000, 2))
    ids = _write(tenant, mine)
    found = messages_nearest(tenant_id=tenant.id, space=SPACE, vector=query, limit=20)
    assert {one.message_id for one in found} == set(_exact(ids, mine, query, 20))


def test_fewer_than_asked_for_are_all_there_are(tenant: Any, inbox: Any, by_index: None) -> None:
    ids = _write(tenant, _vectors(3, 1))
    found = messages_nearest(tenant_id=tenant.id, space=SPACE, vector=_vectors(1, 3)[0], limit=20)
    assert {one.message_id for one in found} == set(ids)
