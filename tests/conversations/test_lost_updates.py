"""What two writers add to one column at once is all there afterwards."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.db import close_old_connections, connection

from apps.conversations.models import Message
from apps.conversations.services import conversation_create, message_annotate, message_post, messages_translated
from apps.conversations.types import Annotation
from apps.core.tenancy import tenant_scope

pytestmark = pytest.mark.django_db(transaction=True)


def _said(tenant: Any, inbox: Any) -> tuple[uuid.UUID, uuid.UUID]:
    made = conversation_create(tenant_id=tenant.id, contact={}, inbox_id=inbox.id)
    posted = message_post(tenant_id=tenant.id, conversation_id=made.id, role="contact", text="Olá")
    return made.id, posted.message.id


def _in_thread(work: Callable[[], Any]) -> threading.Thread:
    def run() -> None:
        try:
            work()
        finally:
            close_old_connections()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def _waits_for_a_lock() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND pid <> pg_backend_pid()"
        )
        return cursor.fetchone()[0] > 0


def test_a_translation_during_an_annotation_is_kept(tenant: Any, inbox: Any) -> None:
    """A translation is being written and has the message locked; the annotation must wait before it reads."""
    conversation_id, message_id = _said(tenant, inbox)
    where = {"tenant_id": tenant.id, "message_id": message_id}
    with tenant_scope(tenant.id):
        messages_translated(
            tenant_id=tenant.id, conversation_id=conversation_id, language="en", texts={message_id: "Hello"}
        )
        annotating = _in_thread(
            lambda: message_annotate(**where, annotation=Annotation(language="pt", translations={"fr": "Salut"}))
        )
        while annotating.is_alive() and not _waits_for_a_lock():
            annotating.join(0.05)
    annotating.join(30)
    with tenant_scope(tenant.id):
        row = Message.objects.get(id=message_id)
    assert (row.language, row.translations) == ("pt", {"en": "Hello", "fr": "Salut"})
