"""Terms of messages and contacts, which conversations are searched by.

A message's are written in its own transaction: whoever posts it finds it. `Conversation.terms_seq` says up to which message
they are there; what processes of an older version write, or wrote, gets its terms from `terms_follow`.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Collection, Sequence

from django.db.models import F

from apps.conversations.models import Contact, ContactTerm, Conversation, Message
from apps.core.tenancy import tenant_scope
from apps.core.terms import terms_add
from apps.core.words import terms
from apps.tenants.selectors import organization_ids

# One transaction of the background: so many conversations or contacts, of each at most so many messages.
ROWS_AT_ONCE = 100
MESSAGES_AT_ONCE = 500
# One turn of the background, which comes every minute.
TURN_S = 40.0

_CONVERSATIONS = ("conversations_conversationterm", "conversation")
_CONTACTS = ("conversations_contactterm", "contact")


def message_terms_add(conversation: Conversation, message: Message) -> bool:
    """Write the terms of a new message, in the open scope; the caller has locked the conversation and saves `terms_seq`.

    Returns False where earlier messages have no terms yet: then this one waits with them.
    """
    if conversation.terms_seq != message.seq - 1:
        return False
    terms_add(*_CONVERSATIONS, [(term, conversation.id) for term in terms(message.text)])
    conversation.terms_seq = message.seq
    return True


def contact_terms_add(rows: Sequence[Contact]) -> None:
    """Write the terms of contacts that have none, in the open scope."""
    terms_add(*_CONTACTS, [(term, row.id) for row in rows for term in terms(f"{row.name} {row.email}")])


def contact_terms_write(contact_ids: Collection[uuid.UUID]) -> None:
    """Make the terms of contacts those of their names and addresses as they are now, in the open scope."""
    rows = list(Contact.objects.select_for_update().filter(id__in=contact_ids).order_by("id"))
    ContactTerm.objects.filter(contact_id__in=contact_ids).delete()
    contact_terms_add(rows)
    Contact.objects.filter(id__in=contact_ids).update(termed=True)


def terms_follow(*, turn_s: float = TURN_S) -> int:
    """Write the terms that are missing, organisations in turn, until none is or the time is up; returns how many
    conversations and contacts got theirs."""
    done, until = 0, time.monotonic() + turn_s
    waiting = organization_ids()
    while waiting and time.monotonic() < until:
        counts = {tenant_id: _part(tenant_id) for tenant_id in waiting}
        done += sum(counts.values())
        waiting = [tenant_id for tenant_id, count in counts.items() if count]
    return done


def _part(tenant_id: uuid.UUID) -> int:
    """Give some conversations and contacts of an organisation their terms; those that others have locked wait."""
    with tenant_scope(tenant_id):
        late = Conversation.objects.filter(terms_seq__lt=F("last_seq")).order_by("id")
        talks = list(late.select_for_update(skip_locked=True, of=("self",))[:ROWS_AT_ONCE])
        terms_add(*_CONVERSATIONS, [pair for talk in talks for pair in _pairs(talk)])
        Conversation.objects.bulk_update(talks, ["terms_seq"])
        unknown = Contact.objects.filter(termed=False).order_by("id").select_for_update(skip_locked=True)
        people = list(unknown.values_list("id", flat=True)[:ROWS_AT_ONCE])
        if people:
            contact_terms_write(people)
        return len(talks) + len(people)


def _pairs(talk: Conversation) -> set[tuple[str, uuid.UUID]]:
    """Return the terms of a conversation's next messages, and move its `terms_seq` behind them."""
    said = Message.objects.filter(conversation_id=talk.id, seq__gt=talk.terms_seq).order_by("seq")
    found = list(said.values_list("seq", "text")[:MESSAGES_AT_ONCE])
    talk.terms_seq = found[-1][0] if len(found) == MESSAGES_AT_ONCE else talk.last_seq
    return {(term, talk.id) for _, text in found for term in terms(text)}
