"""What is found out about a message reaches the staff who watch, and no visitor."""

from __future__ import annotations

from typing import Any

import pytest

from apps.conversations.services import message_annotate
from apps.conversations.types import Annotation
from tests import fakes
from tests.conftest import ApiClient
from tests.sockets import call, say, staff, visitor

pytestmark = pytest.mark.django_db(transaction=True)
FOUND = Annotation("pt", "negative", -0.9, "complaint", {"en": "This is bad."})


@pytest.fixture(autouse=True)
def models(monkeypatch: pytest.MonkeyPatch) -> fakes.FakeModels:
    return fakes.install(monkeypatch, fakes.FakeModels())


async def test_an_open_console_is_told_and_the_visitor_is_not(tenant: Any, inbox: Any, api: ApiClient) -> None:
    guest, welcome = await visitor(inbox)
    acknowledged = await say(guest, "Isto é mau.")
    agent = await staff(api.secret)
    await agent.send(type="subscribe", queue=True)
    await agent.send(type="subscribe", conversation_id=welcome["conversation_id"], after_seq=0)
    await agent.receive("message")
    message_id = acknowledged["message_id"]
    await call(lambda: message_annotate(tenant_id=tenant.id, message_id=message_id, annotation=FOUND))
    frames = {
        frame["type"]: frame for frame in [await agent.receive("message.annotated", "conversation") for _ in "12"]
    }
    told = frames["message.annotated"]["message"]
    assert (told["id"], told["sentiment"], told["translations"]) == (
        message_id,
        {"label": "negative", "score": -0.9},
        {"en": "This is bad."},
    )
    assert frames["conversation"]["conversation"]["mood"] == {"label": "negative", "score": -0.9}
    assert await guest.quiet() == []
    await agent.close()
    await guest.close()


async def test_a_visitors_history_holds_nothing_of_it(tenant: Any, inbox: Any) -> None:
    guest, welcome = await visitor(inbox)
    acknowledged = await say(guest, "Isto é mau.")
    await call(lambda: message_annotate(tenant_id=tenant.id, message_id=acknowledged["message_id"], annotation=FOUND))
    await guest.close()
    again, seen = await visitor(inbox, visitor_token=welcome["visitor_token"])
    assert "Isto é mau." in str(seen) + str(await again.quiet())
    assert [word for word in ("negative", "complaint", "This is bad.") if word in str(again.frames)] == []
    await again.close()


async def test_the_row_shows_what_was_found_out_without_the_hint(
    tenant: Any, inbox: Any, api: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis was flushed, or the page was loaded before and subscribed after."""
    monkeypatch.setattr("apps.conversations.services.watching.POLL_S", 0.2)
    monkeypatch.setattr("apps.conversations.services.annotations.hint_send", lambda *_: None)
    guest, welcome = await visitor(inbox)
    acknowledged = await say(guest, "Isto é mau.")
    agent = await staff(api.secret)
    await agent.send(type="subscribe", conversation_id=welcome["conversation_id"], after_seq=0)
    await agent.receive("message")
    message_id = acknowledged["message_id"]
    await call(lambda: message_annotate(tenant_id=tenant.id, message_id=message_id, annotation=FOUND))
    row = (await agent.receive("conversation"))["conversation"]
    while row["mood"] is None:
        row = (await agent.receive("conversation"))["conversation"]
    assert (row["mood"]["label"], row["intents"]) == ("negative", ["complaint"])
    await agent.close()
    await guest.close()
