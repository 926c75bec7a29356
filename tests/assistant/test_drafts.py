"""Drafts whose job ends without writing them."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from apps.assistant.services import draft_job_ended
from apps.conversations.selectors import draft_get
from apps.conversations.services import conversation_create, draft_create
from apps.core.tenancy import tenant_scope
from apps.inference.services import stream_read_sync


@pytest.mark.django_db(transaction=True)
def test_a_draft_that_died_ends_its_stream(tenant: Any, inbox: Any) -> None:
    """The agent's socket follows nothing else: without an end it would wait for ever."""
    made = conversation_create(tenant_id=tenant.id, contact={"name": "Ada"})
    draft = draft_create(tenant_id=tenant.id, conversation_id=made.id, user_id=None)

    class Context:
        tenant_id, payload = tenant.id, {"draft_id": str(draft.id)}

    with tenant_scope(tenant.id):
        draft_job_ended(Context(), "dead", "attempts_exhausted")  # type: ignore[arg-type]
        assert stream_read_sync(tenant.id, str(draft.id)) == []
    assert draft_get(tenant_id=tenant.id, draft_id=uuid.UUID(str(draft.id))).status == "failed"
    (end,) = stream_read_sync(tenant.id, str(draft.id))
    assert (end.kind, end.data["status"], end.data["code"]) == ("end", "failed", "attempts_exhausted")
