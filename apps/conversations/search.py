"""Which conversations say what is searched for: by the terms of their messages and of their contacts.

A search has all of the query's words, each as the beginning of a word that somebody wrote in the conversation, or of the
contact's name or address. Below row-level security `ILIKE` reads every message, and no index on texts would change it:
only operators that leak nothing are looked up in one (docs/adr/0008-finding-conversations.md).
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from django.db import connection
from django.db.models import Exists, F, OuterRef, Q, QuerySet

from apps.conversations.models import Contact, ContactTerm, Conversation, ConversationTerm, Message
from apps.core.tenancy import current_tenant_id
from apps.core.terms import term_between, term_high
from apps.core.words import Wanted, wanted

# Conversations that are looked up one by one. A word that more of them say is looked for in the list's own order instead,
# newest first, where a page of it is soon full.
FEW = 2_000

_SAYING = """
SELECT said.conversation_id AS id FROM conversations_conversationterm said
WHERE said.tenant_id = %(tenant)s AND said.term >= %(low{n})s AND said.term <= %(high{n})s
UNION ALL
SELECT talk.id FROM conversations_contactterm known JOIN conversations_conversation talk
  ON talk.tenant_id = known.tenant_id AND talk.contact_id = known.contact_id
WHERE known.tenant_id = %(tenant)s AND known.term >= %(low{n})s AND known.term <= %(high{n})s
"""


def conversations_saying(rows: QuerySet[Conversation], q: str) -> QuerySet[Conversation]:
    """Narrow `rows` to the conversations that have all words of `q`, in the open scope; none for a `q` without words."""
    words = wanted(q)
    found = _having(words) if words else Q(pk__in=[])
    if Conversation.objects.filter(_NEW).exists() or Contact.objects.filter(termed=False).exists():
        found |= _not_yet(q)
    return rows.filter(found)


_NEW = Q(terms_seq__lt=F("last_seq"))


def _having(words: Sequence[Wanted]) -> Q:
    values = _values(words)
    numbers = range(len(words))
    rare = [n for n in numbers if _counted(n, values) <= FEW]
    if rare:
        ids = _together(rare, values)
        often = [words[n] for n in numbers if n not in rare] if ids else []
    else:
        ids = _together(numbers, values) if len(words) > 1 else None
        often = list(words) if ids is None else []
    found = Q() if ids is None else Q(id__in=ids)
    for word in often:
        found &= _said(word)
    return found


def _values(words: Sequence[Wanted]) -> dict[str, Any]:
    values: dict[str, Any] = {"tenant": current_tenant_id(), "most": FEW + 1}
    for n, word in enumerate(words):
        values |= {f"low{n}": word.term, f"high{n}": term_high(word)}
    return values


def _counted(n: int, values: dict[str, Any]) -> int:
    """Return how many entries a word has, counted no further than `FEW` and one."""
    with connection.cursor() as cursor:
        part = f"SELECT 1 FROM ({_SAYING.format(n=n)}) AS saying LIMIT %(most)s"  # noqa: S608  (our own text)
        cursor.execute(f"SELECT count(*) FROM ({part}) AS entries", values)  # noqa: S608  (the part above)
        return int(cursor.fetchone()[0])


def _together(numbers: Sequence[int], values: dict[str, Any]) -> list[uuid.UUID] | None:
    """Return the conversations that have all of these words, None where they are more than a few."""
    with connection.cursor() as cursor:
        parts = " INTERSECT ".join(f"(SELECT id FROM ({_SAYING.format(n=n)}) AS w{n})" for n in numbers)  # noqa: S608
        cursor.execute(f"SELECT DISTINCT id FROM ({parts}) AS found LIMIT %(most)s", values)  # noqa: S608
        ids = [row[0] for row in cursor.fetchall()]
    return ids if len(ids) <= FEW else None


def _said(word: Wanted) -> Q:
    """Whether one conversation has a word, asked for each in turn."""
    said = ConversationTerm.objects.filter(**term_between(word), conversation_id=OuterRef("id"))
    known = ContactTerm.objects.filter(**term_between(word), contact_id=OuterRef("contact_id"))
    return Q(Exists(said)) | Q(Exists(known))


def _not_yet(q: str) -> Q:
    """What has no terms yet, since a process of an older version wrote it, is found by comparing its text."""
    new = Q(conversation__terms_seq__lt=F("conversation__last_seq"))
    said = Message.objects.filter(new, text__icontains=q).values("conversation_id")
    named = Q(contact__name__icontains=q) | Q(contact__email__icontains=q)
    return (_NEW & Q(id__in=said)) | (Q(contact__termed=False) & named)
