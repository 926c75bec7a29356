"""Translations that somebody approved: the same text is translated in the same way again."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from apps.analysis.models import MemoryUnit
from apps.analysis.services.translation_pairs import language_base
from apps.analysis.translation.segments import memory_key
from apps.core.errors import Invalid, NotFound
from apps.core.ids import parse_id
from apps.core.pagination import paginate
from apps.core.tenancy import tenant_scope
from apps.events.services import audit_record

MAX_UNITS = 100_000
MAX_UNIT_CHARS = 5_000
MAX_AT_ONCE = 1_000
_LOOKUP = 2_000


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
        audit_record(actor=actor, action="memory.added", data={"units": len(rows)})
    return len(rows)


def memory_list(
    *, tenant_id: uuid.UUID, source: str = "", target: str = "", q: str = "", cursor: str = "", limit: int = 50
) -> tuple[list[Unit], str | None]:
    """Return units, newest first, and the next cursor. `q`: only texts that contain it."""
    with tenant_scope(tenant_id):
        rows = MemoryUnit.objects.all()
        if source:
            rows = rows.filter(source=language_base(source))
        if target:
            rows = rows.filter(target=language_base(target))
        if q:
            rows = rows.filter(text__icontains=q.replace("\x00", "")[:200])
        found, following = paginate(rows, cursor=cursor, limit=limit)
        return [_info(row) for row in found], following


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
