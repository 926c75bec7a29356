"""Labels and intents of conversations as rows, which the list is filtered by."""

from __future__ import annotations

from collections.abc import Iterable

from apps.conversations.models import Conversation, ConversationTag


def conversation_tags_set(*, conversation: Conversation, kind: str, names: Iterable[str]) -> None:
    """Make the rows of a kind those of `names`, in the open scope; the caller has locked the conversation."""
    rows, wanted = ConversationTag.objects.filter(conversation=conversation, kind=kind), set(names)
    known = set(rows.values_list("name", flat=True))
    if known - wanted:
        rows.filter(name__in=known - wanted).delete()
    made = [
        ConversationTag(tenant_id=conversation.tenant_id, conversation=conversation, kind=kind, name=name)
        for name in sorted(wanted - known)
    ]
    ConversationTag.objects.bulk_create(made)
