"""What is judged of conversations: thumbs on messages, the score of a conversation, the fate of a draft.

All are rows of `judgements`. Before, thumbs were rows of their own, scores columns of the conversation, and the fate of a
draft its state alone; processes of the version before still write there. `judgements_follow` carries over what is found
there, and takes thumbs and scores away: whatever stands in the old places was written after the judgement that there is,
since a judgement made here empties them too.
"""

from __future__ import annotations

import time
import uuid

from apps.conversations.models import Conversation, Draft, Rating
from apps.core.tenancy import tenant_scope
from apps.judgements.services import judgement_field_declare, judgements_carry
from apps.judgements.types import Author, AuthorKind, JudgementField, Verdict
from apps.tenants.selectors import organization_ids

MESSAGE, CONVERSATION, DRAFT = "message", "conversation", "draft"
THUMBS, CSAT, FATE = "thumbs", "csat", "fate"
# One transaction of the background, and one turn of it, which comes every minute.
ROWS_AT_ONCE = 500
TURN_S = 40.0


def fields_declare() -> None:
    """Say what is judged here; once, when the app is ready."""
    judgement_field_declare(JudgementField(MESSAGE, THUMBS, numbers=(1, -1)))
    judgement_field_declare(JudgementField(CONVERSATION, CSAT, low=1, high=5, whole=True))
    judgement_field_declare(JudgementField(DRAFT, FATE, values=("accepted", "edited", "rejected")))


def contact_author(contact_id: uuid.UUID) -> Author:
    """Return the author of what a visitor judges."""
    return Author(AuthorKind.CONTACT, str(contact_id))


def judgements_follow(*, turn_s: float = TURN_S) -> int:
    """Carry over what was kept in the old places, organisations in turn, until nothing is left or the time is up; returns
    how many judgements were made of it."""
    done, until = 0, time.monotonic() + turn_s
    waiting = organization_ids()
    while waiting and time.monotonic() < until:
        counts = {tenant_id: _part(tenant_id) for tenant_id in waiting}
        done += sum(counts.values())
        waiting = [tenant_id for tenant_id, count in counts.items() if count]
    return done


def _part(tenant_id: uuid.UUID) -> int:
    """Carry over some of an organisation's; rows that others have locked wait."""
    with tenant_scope(tenant_id):
        return _thumbs(tenant_id) + _scores(tenant_id) + _fates(tenant_id)


def _thumbs(tenant_id: uuid.UUID) -> int:
    rows = Rating.objects.select_for_update(skip_locked=True, of=("self",)).select_related("message__conversation")
    some = list(rows.order_by("id")[:ROWS_AT_ONCE])
    verdicts = [
        Verdict(
            str(row.message_id),
            row.value,
            contact_author(row.message.conversation.contact_id),
            row.comment,
            row.created_at,
        )
        for row in some
    ]
    judgements_carry(tenant_id=tenant_id, target_kind=MESSAGE, field=THUMBS, verdicts=verdicts)
    Rating.objects.filter(id__in=[row.id for row in some])._raw_delete("default")
    return len(some)


def _scores(tenant_id: uuid.UUID) -> int:
    """When a score was given was not kept: the last change of its conversation stands for it."""
    rows = Conversation.objects.filter(csat_value__isnull=False).select_for_update(skip_locked=True, of=("self",))
    some = list(rows.order_by("id")[:ROWS_AT_ONCE])
    verdicts = [
        Verdict(str(row.id), row.csat_value, contact_author(row.contact_id), row.csat_comment, row.updated_at)
        for row in some
        if row.csat_value is not None
    ]
    judgements_carry(tenant_id=tenant_id, target_kind=CONVERSATION, field=CSAT, verdicts=verdicts)
    Conversation.objects.filter(id__in=[row.id for row in some]).update(csat_value=None, csat_comment="")
    return len(some)


def _fates(tenant_id: uuid.UUID) -> int:
    """Who rejected a draft was not kept; who sent one wrote its message."""
    rows = Draft.objects.filter(judged=False, decided_at__isnull=False).select_related("message")
    some = list(rows.select_for_update(skip_locked=True, of=("self",)).order_by("id")[:ROWS_AT_ONCE])
    verdicts = [
        Verdict(str(row.id), row.status, Author(AuthorKind.USER, _sender(row)), judged_at=row.decided_at)
        for row in some
    ]
    judgements_carry(tenant_id=tenant_id, target_kind=DRAFT, field=FATE, verdicts=verdicts)
    Draft.objects.filter(id__in=[row.id for row in some]).update(judged=True)
    return len(some)


def _sender(row: Draft) -> str:
    return str(row.message.author_id) if row.message is not None and row.message.author_id else ""
