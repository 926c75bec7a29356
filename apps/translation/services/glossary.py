"""Terms that an organisation wants translated in one way."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from apps.core.errors import Invalid, NotFound
from apps.core.ids import parse_id
from apps.core.pagination import paginate
from apps.core.tenancy import tenant_scope
from apps.events.services import audit_record
from apps.translation.markup.protect import Term
from apps.translation.models import GlossaryEntry
from apps.translation.services.pairs import language_base

MAX_ENTRIES = 5_000
MAX_TERM_CHARS = 200


@dataclass(frozen=True, slots=True)
class GlossaryTerm:
    """An entry as its organisation sees it."""

    id: str
    source: str
    target: str
    term: str
    translation: str
    case_sensitive: bool

    def as_dict(self) -> dict[str, Any]:
        """Return what the API shows."""
        return {name: getattr(self, name) for name in self.__slots__}


def glossary_set(
    *,
    tenant_id: uuid.UUID,
    source: str,
    target: str,
    term: str,
    translation: str,
    case_sensitive: bool = False,
    actor: str = "",
) -> GlossaryTerm:
    """Keep how `term` is translated, in the place of what was kept for it before.

    Limits: 5,000 entries, terms of 200 characters. Errors: Invalid "glossary_term_invalid", "glossary_full".
    """
    term, translation = _clean(term), _clean(translation)
    languages = {"source": language_base(source), "target": language_base(target)}
    with tenant_scope(tenant_id), transaction.atomic():
        key: dict[str, Any] = {**languages, "term_key": term.casefold()[:400]}
        if not GlossaryEntry.objects.filter(**key).exists() and GlossaryEntry.objects.count() >= MAX_ENTRIES:
            raise Invalid(f"A glossary has at most {MAX_ENTRIES} entries.", code="glossary_full")
        values: dict[str, Any] = {
            "term": term,
            "translation": translation,
            "case_sensitive": case_sensitive,
            "created_by": actor[:80],
        }
        row, _ = GlossaryEntry.objects.update_or_create(defaults=values, **key)
        audit_record(actor=actor, action="glossary.set", target=str(row.id))
        return _info(row)


def glossary_list(
    *, tenant_id: uuid.UUID, source: str = "", target: str = "", cursor: str = "", limit: int = 50
) -> tuple[list[GlossaryTerm], str | None]:
    """Return entries, newest first, and the next cursor."""
    with tenant_scope(tenant_id):
        rows, following = paginate(_of_pair(source, target), cursor=cursor, limit=limit)
        return [_info(row) for row in rows], following


def glossary_delete(*, tenant_id: uuid.UUID, entry_id: object, actor: str = "") -> None:
    """Remove an entry. Raises NotFound "glossary_entry_not_found"."""
    parsed = parse_id(entry_id)
    with tenant_scope(tenant_id):
        count = GlossaryEntry.objects.filter(id=parsed).delete()[0] if parsed else 0
        if not count:
            raise NotFound("There is no such entry.", code="glossary_entry_not_found")
        audit_record(actor=actor, action="glossary.deleted", target=str(parsed))


def glossary_terms(*, tenant_id: uuid.UUID, source: str, target: str) -> list[Term]:
    """Return all terms of a pair of languages."""
    with tenant_scope(tenant_id):
        rows: Sequence[GlossaryEntry] = list(_of_pair(source, target)[:MAX_ENTRIES])
    return [Term(row.term, row.translation, row.case_sensitive) for row in rows]


def _of_pair(source: str, target: str) -> Any:
    rows = GlossaryEntry.objects.all()
    if source:
        rows = rows.filter(source=language_base(source))
    return rows.filter(target=language_base(target)) if target else rows


def _clean(text: str) -> str:
    bare = " ".join(text.replace("\x00", "").split())
    if not bare or len(bare) > MAX_TERM_CHARS:
        raise Invalid(f"A term has 1 to {MAX_TERM_CHARS} characters.", code="glossary_term_invalid")
    return bare


def _info(row: GlossaryEntry) -> GlossaryTerm:
    return GlossaryTerm(str(row.id), row.source, row.target, row.term, row.translation, row.case_sensitive)
