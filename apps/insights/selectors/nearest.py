"""Which messages of an organisation lie nearest to a vector: exactly among few, by the approximate index among many.

The index holds the messages of all organisations, and the wall is a filter on what it gives. An organisation whose
share is small would have thousands of foreign messages looked at for each of its own, and lose some: it is read
exactly instead (docs/adr/0008-finding-conversations.md).
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

import numpy as np
from django.db import connection

from apps.core.tenancy import tenant_scope

# Up to so many messages are all compared: nothing is missed, and it takes no longer than a page takes elsewhere.
EXACT_MESSAGES = 20_000
# How far the index is walked for an organisation's messages before it counts as a small one after all.
_MAX_SCAN = 100_000

_COUNT = """
SELECT count(*) FROM (
  SELECT 1 FROM analysis_messagevector WHERE tenant_id = %(tenant)s AND space = %(space)s LIMIT %(most)s) AS mine
"""
# MATERIALIZED keeps the planner from the approximate index.
_EXACT = """
WITH mine AS MATERIALIZED (
  SELECT conversation_id, message_id, embedding <=> %(vector)s::halfvec AS distance
  FROM analysis_messagevector WHERE tenant_id = %(tenant)s AND space = %(space)s
)
SELECT conversation_id, message_id, distance FROM mine ORDER BY distance LIMIT %(limit)s
"""
_BY_INDEX = """
SELECT conversation_id, message_id, embedding <=> %(vector)s::halfvec AS distance
FROM analysis_messagevector WHERE tenant_id = %(tenant)s AND space = %(space)s
ORDER BY embedding <=> %(vector)s::halfvec LIMIT %(limit)s
"""
_SETTINGS = "SELECT set_config('hnsw.ef_search', %s, true), set_config('hnsw.max_scan_tuples', %s, true)"


@dataclass(frozen=True, slots=True, order=True)
class Near:
    """A message and its cosine distance; in the order of distance."""

    distance: float
    conversation_id: uuid.UUID
    message_id: uuid.UUID

    @property
    def key(self) -> tuple[float, uuid.UUID]:
        """Return the place of its conversation."""
        return self.distance, self.conversation_id


def messages_nearest(*, tenant_id: uuid.UUID, space: str, vector: Any, limit: int) -> list[Near]:
    """Return up to `limit` (at most 1,000) messages, nearest first; fewer only when there are no more.

    `vector`: float16 (384,) in `space`, the only one that is looked at. Recall is 1 up to EXACT_MESSAGES, and that of the
    index above.
    """
    asked: dict[str, Any] = {
        "tenant": tenant_id,
        "space": space,
        "vector": "[" + ",".join(map(repr, np.asarray(vector, dtype=np.float32).tolist())) + "]",
        "limit": limit,
        "most": EXACT_MESSAGES + 1,
    }
    with tenant_scope(tenant_id), connection.cursor() as cursor:
        cursor.execute(_COUNT, asked)
        rows: list[Any] = []
        if cursor.fetchone()[0] > EXACT_MESSAGES:
            cursor.execute(_SETTINGS, [str(limit), str(_MAX_SCAN)])
            cursor.execute(_BY_INDEX, asked)
            rows = cursor.fetchall()
        if len(rows) < limit:
            cursor.execute(_EXACT, asked)
            rows = cursor.fetchall()
    # The index gives them nearly in order.
    return sorted(Near(float(distance), conversation_id, message_id) for conversation_id, message_id, distance in rows)
