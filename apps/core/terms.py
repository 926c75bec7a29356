"""Terms of texts (core/words.py) as rows of (tenant_id, term, owner), which a search looks up by ranges of terms."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from typing import Any

from django.db import connection

from apps.core.tenancy import current_tenant_id
from apps.core.words import LAST_CHARACTER, Wanted

_ADD = """
INSERT INTO {table} (tenant_id, term, {owner}_id) SELECT %s, found.term, found.id
FROM unnest(%s::text[], %s::uuid[]) AS found(term, id) ORDER BY found.term, found.id ON CONFLICT DO NOTHING
"""


def terms_add(table: str, owner: str, pairs: Collection[tuple[str, uuid.UUID]]) -> None:
    """Write (term, id of the owner) pairs into a table of ours, in the open scope; known ones are passed over."""
    if pairs:
        words, ids = zip(*pairs, strict=True)
        with connection.cursor() as cursor:
            cursor.execute(_ADD.format(table=table, owner=owner), [current_tenant_id(), list(words), list(ids)])


def term_high(word: Wanted) -> str:
    """Return the last term of a range whose first is the word's."""
    return word.term + LAST_CHARACTER if word.beginning else word.term


def term_between(word: Wanted) -> dict[str, Any]:
    """Return the filter of a model with a `term` for what a word is found by: operators that leak nothing."""
    return {"term__gte": word.term, "term__lte": term_high(word)}
