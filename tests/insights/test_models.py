"""Messages of conversations, read by the real models."""

from __future__ import annotations

from typing import Any

import pytest

from apps.core.tenancy import tenant_scope
from apps.insights.services.annotations import annotation_start
from apps.jobs.services import job_run
from tests.conversations.conftest import Talk

pytestmark = [pytest.mark.models, pytest.mark.usefixtures("models"), pytest.mark.django_db(transaction=True)]


@pytest.fixture(autouse=True)
def hints(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test is the broker."""
    monkeypatch.setattr("apps.jobs.services.enqueue.broker_hint", lambda job_id, queue: None)


def _say(talk: Talk, text: str, role: str = "contact") -> Any:
    """Post a message, and have it read."""
    posted = talk.post(text, role=role)
    with tenant_scope(talk.tenant_id):
        job_id = annotation_start(tenant_id=talk.tenant_id, message_id=posted.message.id)
    assert job_run(job_id) is True
    return talk.messages()[-1]


def test_moods_intents_and_meanings_are_told_in_two_languages(talk: Talk, api: Any) -> None:
    bad = _say(talk, "This is the worst shop ever. The item arrived broken and nobody answers my e-mails!")
    portuguese = _say(talk, "Olá, quero devolver este produto e receber o meu dinheiro de volta.")
    assert (bad.language, bad.sentiment, portuguese.language) == ("en", "negative", "pt")
    assert portuguese.intent == "return or refund"
    assert "money" in portuguese.translations["en"]
    found = api.get("/conversations/search?q=customer wants to be reimbursed").json()["items"]
    assert [(item["id"], item["match"]["seq"]) for item in found] == [(str(talk.id), 2)]


def test_a_friendly_end_lifts_the_mood(talk: Talk) -> None:
    _say(talk, "I am really angry, this is terrible and I want my money back now.")
    assert talk.row.mood == "negative"
    _say(talk, "Thank you so much, that is wonderful, I love your service!")
    _say(talk, "You are great, thanks!")
    assert talk.row.mood == "positive"


@pytest.mark.parametrize("text", ["ok", "hello", "yes please", "let me check"])
def test_small_talk_is_in_the_conversations_language_and_has_no_intent(talk: Talk, text: str) -> None:
    _say(talk, "Where is my order? It should have been delivered last week.")
    said = _say(talk, text)
    assert (said.language, said.intent, talk.row.intents) == ("en", "", ["order status"])


def test_a_portuguese_conversation_is_read_and_answered_in_both_languages(talk: Talk, api: Any) -> None:
    _say(talk, "Bom dia, quando chega a minha encomenda 4411?")
    assert talk.row.language == "pt"
    read = api.post(f"/conversations/{talk.id}/translations", {"target": "en"}).json()["items"][0]
    assert "4411" in read["text"]
    assert "order" in read["text"].lower()
