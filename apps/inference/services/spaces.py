"""Spaces of vectors: which one is searched, which ones are written, and what is known of the next one.

Vectors of two encoders do not compare, though they may have the same length. So each is stored with its space
(`name@revision`), a search stays within the one that serves, and another encoder is taken in three steps: its space is
made beside (`space_building.py`), everything new is written to both meanwhile, and one update lets the new one serve.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection
from redis.exceptions import RedisError

from apps.core.redis import redis_client
from apps.core.tenancy import current_tenant_id, tenant_scope
from apps.events.services import audit_record
from apps.inference.models import VectorSpace
from apps.inference.services.models import default_model, model_list
from apps.inference.types import ModelInfo, SpaceInfo
from apps.jobs.services import job_cancel

PASSAGES, MESSAGES = VectorSpace.Holder.PASSAGES.value, VectorSpace.Holder.MESSAGES.value
# Says in how many organisations a search goes by words alone. Without a tenant: it is the installation's.
DEGRADED_KEY = "infer:spaces-without-model"
DEGRADED_TTL_S = 300

_HOLD = """
SELECT serving, building FROM inference_vectorspace WHERE tenant_id = %s AND holder = %s FOR SHARE
"""
Row = tuple[uuid.UUID, str]


@dataclass(frozen=True, slots=True)
class VectorStore:
    """Where vectors of one kind lie. All calls run in the open scope.

    `missing(space, limit)` gives texts without a vector there, as (id, text); `write(space, ids, vectors)` keeps those
    whose text is still there and passes over known ones; `done(space)` of `total(serving)` have theirs; `clear(kept,
    limit)` removes vectors of other spaces and says how many.
    """

    holder: str
    kind: str
    dim: int
    missing: Callable[[str, int], Sequence[Row]]
    write: Callable[[str, Sequence[uuid.UUID], Any], None]
    done: Callable[[str], int]
    total: Callable[[str], int]
    clear: Callable[[Sequence[str], int], int]


class SpacesChanged(Exception):
    """A vector is wanted in further spaces, which began to count after it was computed: compute it there and try again."""

    def __init__(self, spaces: Sequence[str]) -> None:
        super().__init__(", ".join(spaces))
        self.spaces = tuple(spaces)


_stores: dict[str, VectorStore] = {}


def vectors_clear(table: str, kept: Sequence[str], limit: int) -> int:
    """Delete up to `limit` of the open scope's rows of `table` whose `space` is not among `kept`; returns how many."""
    part = f"SELECT id FROM {table} WHERE tenant_id = %(tenant)s AND space <> ALL(%(kept)s) LIMIT %(limit)s"  # noqa: S608  (our table)
    with connection.cursor() as cursor:
        cursor.execute(
            f"DELETE FROM {table} WHERE tenant_id = %(tenant)s AND id IN ({part})",  # noqa: S608  (the part above)
            {"tenant": _tenant(), "kept": list(kept), "limit": limit},
        )
        return cursor.rowcount


def store_register(store: VectorStore) -> VectorStore:
    """Make a holder of vectors known to `spaces_follow` and `spaces_list`."""
    _stores[store.holder] = store
    return store


def stores() -> list[VectorStore]:
    """Return the holders that are known."""
    return list(_stores.values())


def default_space() -> str:
    """Return the space of the installation's default encoder."""
    return default_model("embedding").ref.space


def space_model(space: str) -> ModelInfo | None:
    """Return the catalogue's encoder of a space, None where it lists none of that name and revision."""
    for model in model_list():
        if model.role == "embedding" and model.ref.space == space:
            return model
    return None


def space_serving(*, tenant_id: uuid.UUID, holder: str) -> str:
    """Return the space that is searched: the default encoder's for an organisation that has no vectors yet."""
    with tenant_scope(tenant_id):
        found = VectorSpace.objects.filter(holder=holder).values_list("serving", flat=True).first()
    return found or default_space()


def spaces_writing(*, tenant_id: uuid.UUID, holder: str) -> tuple[str, ...]:
    """Return the spaces that a new text needs a vector in now: what serves, then what is being made, as far as their
    encoders are in the catalogue; the default one where none of them is."""
    with tenant_scope(tenant_id):
        row = VectorSpace.objects.filter(holder=holder).values_list("serving", "building").first()
    return _writable(*(row or (default_space(), "")))


def spaces_hold(holder: str, *, written: Sequence[str]) -> tuple[str, ...]:
    """Keep the organisation's spaces as they are until the open transaction ends; returns those to write to.

    Raises SpacesChanged with those that are not among `written`. Effects: makes the organisation's row.
    """
    with connection.cursor() as cursor:
        row = _held(cursor, holder)
        if row is None:
            first = VectorSpace(holder=holder, serving=written[0] if written else default_space())
            first.tenant_id = _tenant()
            VectorSpace.objects.bulk_create([first], ignore_conflicts=True)
            row = _held(cursor, holder)
    assert row is not None  # noqa: S101  (made above, by us or by another writer)
    wanted = _writable(*row)
    more = [space for space in wanted if space not in written]
    if more:
        raise SpacesChanged(more)
    return wanted


def _held(cursor: Any, holder: str) -> tuple[str, str] | None:
    cursor.execute(_HOLD, [_tenant(), holder])
    row: tuple[str, str] | None = cursor.fetchone()
    return row


def _tenant() -> uuid.UUID:
    found = current_tenant_id()
    assert found is not None  # noqa: S101
    return found


def _writable(serving: str, building: str) -> tuple[str, ...]:
    known = tuple(space for space in (serving, building) if space and space_model(space) is not None)
    return known or (default_space(),)


def spaces_list(*, tenant_id: uuid.UUID) -> list[SpaceInfo]:
    """Return the state of each kind of vectors that the organisation has or had. Counts rows: some 20 ms for 100,000."""
    with tenant_scope(tenant_id):
        rows = {row.holder: row for row in VectorSpace.objects.all()}
        return [_info(rows[store.holder], store) for store in stores() if store.holder in rows]


def space_change(*, tenant_id: uuid.UUID, holder: str) -> SpaceInfo | None:
    """Return the state of a kind of vectors while another space is being made for it, else None and nothing is counted."""
    with tenant_scope(tenant_id):
        row = VectorSpace.objects.filter(holder=holder).exclude(building="").first()
        return _info(row, _stores[holder]) if row is not None else None


def _info(row: VectorSpace, store: VectorStore) -> SpaceInfo:
    total = store.total(row.serving)
    return SpaceInfo(
        holder=row.holder,
        serving=row.serving,
        searched=space_model(row.serving) is not None,
        building=row.building,
        done=min(total, store.done(row.building or row.serving)),
        total=total,
        paused=row.paused,
        error_code=row.error_code,
        switched_at=row.switched_at,
    )


def space_pause(*, tenant_id: uuid.UUID, actor: str) -> None:
    """Stop making new spaces: the present ones go on serving, and what was made so far stays. Writes an audit row."""
    with tenant_scope(tenant_id):
        jobs = [row.job_id for row in VectorSpace.objects.select_for_update() if row.job_id]
        VectorSpace.objects.update(paused=True)
        audit_record(actor=actor, action="vectors.paused")
    for job_id in jobs:
        job_cancel(tenant_id=tenant_id, job_id=job_id)


def space_resume(*, tenant_id: uuid.UUID, actor: str) -> None:
    """Go on making new spaces, within a minute. Writes an audit row."""
    with tenant_scope(tenant_id):
        VectorSpace.objects.update(paused=False, error_code="")
        audit_record(actor=actor, action="vectors.resumed")


def degraded_note(count: int) -> None:
    """Say in how many organisations a search goes by words alone."""
    redis_client().set(DEGRADED_KEY, count, ex=DEGRADED_TTL_S)


def spaces_degraded() -> int:
    """Return in how many organisations a search went by words alone a minute ago, since the encoder of their vectors is
    not in the catalogue. 0 where nobody knows."""
    try:
        found: Any = redis_client().get(DEGRADED_KEY)
    except RedisError:
        return 0
    return int(found or 0)
