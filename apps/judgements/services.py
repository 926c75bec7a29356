"""Writes of judgements: one is made, some are carried over from where they were before, those of a target are forgotten."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from typing import Any

from apps.core.clock import now
from apps.core.errors import Invalid
from apps.core.tenancy import tenant_scope
from apps.events.services import event_record
from apps.judgements.fields import judgement_field, judgement_field_declare, value_read
from apps.judgements.models import Judgement
from apps.judgements.selectors import judgement_info
from apps.judgements.types import MAX_ID, MAX_REASON, Author, AuthorKind, JudgementInfo, Verdict

__all__ = ["judge", "judgement_field_declare", "judgements_carry", "judgements_forget", "judgements_forget_author"]

# Targets that one statement names.
IDS_AT_ONCE = 1_000
_KEY = ["tenant_id", "target_kind", "target_id", "field", "author_kind", "author_id"]


def judge(*, tenant_id: uuid.UUID, target_kind: str, field: str, verdict: Verdict, actor: str = "") -> JudgementInfo:
    """Keep what an author holds of a target, in the place of what the same author held before; returns it.

    Effects: `judgement.made`, without the reason. The target is opaque: whether it exists is the caller's to know.
    Errors:  Invalid ("judgement_field_unknown", "judgement_value_invalid", "judgement_invalid": a reason or an id too long).
    """
    with tenant_scope(tenant_id):
        values = _values(target_kind, field, verdict)
        key = {name: values.pop(name) for name in _KEY if name in values}
        row, _ = Judgement.objects.update_or_create(**key, defaults=values)
        told = {name: key[name] for name in ("target_kind", "target_id", "field", "author_kind")}
        event_record(
            type="judgement.made",
            subject_type="judgement",
            subject_id=row.id,
            data={**told, "value": row.value},
            actor=actor,
        )
        return judgement_info(row)


def judgements_carry(*, tenant_id: uuid.UUID, target_kind: str, field: str, verdicts: Sequence[Verdict]) -> None:
    """Keep judgements that were made and told of elsewhere, in one statement and without events; at most one for each
    target and author. Raises Invalid as `judge`."""
    with tenant_scope(tenant_id):
        rows = [Judgement(tenant_id=tenant_id, **_values(target_kind, field, verdict)) for verdict in verdicts]
        Judgement.objects.bulk_create(
            rows,
            update_conflicts=True,
            unique_fields=_KEY,
            update_fields=["value", "number", "reason", "judged_at"],
        )


def judgements_forget(*, target_kind: str, target_ids: Iterable[object]) -> int:
    """Delete the judgements of targets that are being deleted, in the open scope; returns how many there were."""
    rows = Judgement.objects.filter(target_kind=target_kind)
    texts = [str(one) for one in target_ids]
    parts = [texts[start : start + IDS_AT_ONCE] for start in range(0, len(texts), IDS_AT_ONCE)]
    return sum(rows.filter(target_id__in=part)._raw_delete("default") for part in parts)


def judgements_forget_author(author: Author) -> int:
    """Delete what an author held, in the open scope, when the author is being erased; returns how many there were."""
    return Judgement.objects.filter(author_kind=author.kind, author_id=author.id)._raw_delete("default")


def _values(target_kind: str, field: str, verdict: Verdict) -> dict[str, Any]:
    """Return the columns of a judgement. Raises Invalid."""
    value, number = value_read(judgement_field(target_kind, field), verdict.value)
    ids = (verdict.target_id, verdict.author.id)
    if not verdict.target_id or any(len(one) > MAX_ID for one in ids) or len(verdict.reason) > MAX_REASON:
        raise Invalid(f"A reason has at most {MAX_REASON:,} characters.", code="judgement_invalid")
    return {
        "target_kind": target_kind,
        "target_id": verdict.target_id,
        "field": field,
        "author_kind": AuthorKind(verdict.author.kind).value,
        "author_id": verdict.author.id,
        "value": value,
        "number": number,
        "reason": verdict.reason.replace("\x00", "").encode("utf-8", "replace").decode(),
        "judged_at": verdict.judged_at or now(),
    }
