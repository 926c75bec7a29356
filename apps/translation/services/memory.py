"""Translations that somebody approved: the same text is translated in the same way again."""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.db.models import Exists, OuterRef, Q

from apps.core.errors import Invalid, NotFound
from apps.core.ids import parse_id
from apps.core.pagination import paginate
from apps.core.tenancy import current_tenant_id, tenant_scope
from apps.core.terms import term_between, term_high, terms_add
from apps.core.words import Wanted, terms, wanted
from apps.events.services import audit_record
from apps.tenants.selectors import organization_ids
from apps.translation.markup.segments import memory_key
from apps.translation.models import MemoryTerm, MemoryUnit
from apps.translation.services.pairs import language_base

MAX_UNITS = 100_000
MAX_UNIT_CHARS = 5_000
MAX_AT_ONCE = 1_000
_LOOKUP = 2_000
# Units that a search looks up by their ids.
_FEW = 2_000
# One turn of the background, which comes every minute.
TURN_S = 40.0


@dataclass(frozen=True, slots=True)
class Unit:
    """An approved translation as its organisation sees it."""

    id: str
    source: str
    target: str
    text: str
    translation: str

    def as_dict(self) -> dict[str, Any]:
        """Return what the API shows."""
        return {name: getattr(self, name) for name in self.__slots__}


def memory_add(
    *, tenant_id: uuid.UUID, source: str, target: str, units: Sequence[tuple[str, str]], actor: str = ""
) -> int:
    """Keep (text, translation) pairs, each in the place of what was kept for its text. Returns how many.

    Limits: 1,000 at once, 5,000 characters each, 100,000 of an organisation.
    Errors: Invalid "memory_unit_invalid", "memory_full".
    """
    if not 1 <= len(units) <= MAX_AT_ONCE:
        raise Invalid(f"Send 1 to {MAX_AT_ONCE} pairs of texts.", code="memory_unit_invalid")
    languages = {"source": language_base(source), "target": language_base(target)}
    rows = {}
    for text, translation in units:
        key, wanted = memory_key(text.replace("\x00", "")), translation.replace("\x00", "").strip()
        if not key or not wanted or max(len(text), len(wanted)) > MAX_UNIT_CHARS:
            raise Invalid(
                f"A text and its translation have 1 to {MAX_UNIT_CHARS} characters.", code="memory_unit_invalid"
            )
        rows[_digest(key)] = MemoryUnit(
            tenant_id=tenant_id, digest=_digest(key), text=key, translation=wanted, created_by=actor[:80], **languages
        )
    with tenant_scope(tenant_id):
        if MemoryUnit.objects.count() + len(rows) > MAX_UNITS:
            raise Invalid(f"A memory has at most {MAX_UNITS} texts.", code="memory_full")
        MemoryUnit.objects.bulk_create(
            rows.values(),
            update_conflicts=True,
            unique_fields=["tenant_id", "source", "target", "digest"],
            update_fields=["text", "translation", "created_by", "updated_at"],
        )
        _terms_write(list(MemoryUnit.objects.filter(**languages, digest__in=list(rows), termed=False)))
        audit_record(actor=actor, action="memory.added", data={"units": len(rows)})
    return len(rows)


def memory_list(
    *, tenant_id: uuid.UUID, source: str = "", target: str = "", q: str = "", cursor: str = "", limit: int = 50
) -> tuple[list[Unit], str | None]:
    """Return units, newest first, and the next cursor. `q`: only texts that have all of its words, each as the beginning
    of one."""
    with tenant_scope(tenant_id):
        rows = MemoryUnit.objects.all()
        if source:
            rows = rows.filter(source=language_base(source))
        if target:
            rows = rows.filter(target=language_base(target))
        if q:
            rows = rows.filter(_saying(q.replace("\x00", "")[:200]))
        found, following = paginate(rows, cursor=cursor, limit=limit)
        return [_info(row) for row in found], following


def _saying(q: str) -> Q:
    """What has all words of `q`. Texts without terms, which a process of an older version kept, are compared themselves."""
    found = Q(pk__in=[])
    if words := wanted(q):
        ids = _having(words)
        said = MemoryTerm.objects.filter(unit_id=OuterRef("id"))
        each = (Exists(said.filter(**term_between(word))) for word in words)
        found = Q(id__in=ids) if ids is not None else Q(*each)
    if MemoryUnit.objects.filter(termed=False).exists():
        found |= Q(termed=False, text__icontains=q)
    return found


def _having(words: Sequence[Wanted]) -> list[uuid.UUID] | None:
    """Return the units that have all of the words. None where they are more than `_FEW`: a page of those is soon full when
    they are asked one by one in the list's own order."""
    parts, values = [], []
    for word in words:
        parts.append("SELECT unit_id FROM analysis_memoryterm WHERE tenant_id = %s AND term >= %s AND term <= %s")
        values += [current_tenant_id(), word.term, term_high(word)]
    with connection.cursor() as cursor:
        joined = " INTERSECT ".join(parts)
        cursor.execute(f"SELECT DISTINCT unit_id FROM ({joined}) AS found LIMIT %s", [*values, _FEW + 1])  # noqa: S608
        ids = [row[0] for row in cursor.fetchall()]
    return ids if len(ids) <= _FEW else None


def memory_terms_follow(*, turn_s: float = TURN_S) -> int:
    """Write the terms of texts that have none, in parts, organisations in turn; returns of how many."""
    done, until = 0, time.monotonic() + turn_s
    waiting = organization_ids()
    while waiting and time.monotonic() < until:
        counts = {tenant_id: _part(tenant_id) for tenant_id in waiting}
        done += sum(counts.values())
        waiting = [tenant_id for tenant_id, count in counts.items() if count]
    return done


def _part(tenant_id: uuid.UUID) -> int:
    with tenant_scope(tenant_id):
        late = MemoryUnit.objects.filter(termed=False).order_by("id").select_for_update(skip_locked=True)
        rows = list(late[:MAX_AT_ONCE])
        _terms_write(rows)
        return len(rows)


def _terms_write(rows: Sequence[MemoryUnit]) -> None:
    """Write the terms of texts that have none, in the open scope."""
    terms_add("analysis_memoryterm", "unit", [(term, row.id) for row in rows for term in terms(row.text)])
    MemoryUnit.objects.filter(id__in=[row.id for row in rows]).update(termed=True)


def memory_delete(*, tenant_id: uuid.UUID, unit_id: object, actor: str = "") -> None:
    """Forget one. Raises NotFound "memory_unit_not_found"."""
    parsed = parse_id(unit_id)
    with tenant_scope(tenant_id):
        count = MemoryUnit.objects.filter(id=parsed).delete()[0] if parsed else 0
        if not count:
            raise NotFound("There is no such text.", code="memory_unit_not_found")
        audit_record(actor=actor, action="memory.deleted", target=str(parsed))


def memory_lookup(*, tenant_id: uuid.UUID, source: str, target: str, texts: Iterable[str]) -> dict[str, str]:
    """Return the translations that are kept for `texts`, written as `memory_key` writes them."""
    digests = {_digest(text): text for text in texts if len(text) <= MAX_UNIT_CHARS}
    wanted = list(digests)
    found: dict[str, str] = {}
    with tenant_scope(tenant_id):
        rows = MemoryUnit.objects.filter(source=language_base(source), target=language_base(target))
        if not wanted or not rows.exists():
            return found
        for begin in range(0, len(wanted), _LOOKUP):
            part = rows.filter(digest__in=wanted[begin : begin + _LOOKUP])
            found |= {digests[digest]: text for digest, text in part.values_list("digest", "translation")}
    return found


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()


def _info(row: MemoryUnit) -> Unit:
    return Unit(str(row.id), row.source, row.target, row.text, row.translation)
