"""What is found out about messages after they were written, and what the team is told of it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import call_command

from apps.conversations.services import conversation_handoff, conversation_update
from apps.conversations.services.annotations import mood_of
from apps.core.tenancy import tenant_scope
from apps.events.services import dispatch_due
from apps.insights.models import MessageVector
from apps.insights.services.annotations import ANNOTATE, annotation_start
from apps.insights.services.conversation_summaries import MIN_MESSAGES, SUMMARIZE
from apps.jobs.models import Job
from apps.jobs.services import job_run
from tests import fakes
from tests.conversations.conftest import Talk

pytestmark = pytest.mark.django_db(transaction=True)
STORY = [
    ("contact", "My order number 4411 has not arrived and I have been waiting for two weeks."),
    ("bot", "Orders are delivered within three days. Please tell me where you live."),
    ("contact", "I live in Porto, and the courier says that the parcel was returned to the warehouse."),
    ("agent", "The warehouse sends the parcel again tomorrow morning with another courier."),
]


@pytest.fixture(autouse=True)
def fake_models(monkeypatch: pytest.MonkeyPatch) -> fakes.FakeModels:
    return fakes.install(monkeypatch, fakes.FakeModels())


@pytest.fixture(autouse=True)
def hints(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test is the broker."""
    monkeypatch.setattr("apps.jobs.services.enqueue.broker_hint", lambda job_id, queue: None)


def _jobs(tenant_id: uuid.UUID, kind: str) -> list[uuid.UUID]:
    with tenant_scope(tenant_id):
        return list(Job.objects.filter(kind=kind, finished_at=None).order_by("created_at").values_list("id", flat=True))


def _run(talk: Talk, kind: str = ANNOTATE) -> None:
    """Deliver what happened, and do the jobs of a kind that came of it."""
    dispatch_due()
    for job_id in _jobs(talk.tenant_id, kind):
        job_run(job_id)


def _tell(talk: Talk) -> None:
    for role, text in STORY:
        talk.post(text, role=role)


def _notes(talk: Talk) -> list[str]:
    return [message.text for message in talk.messages() if message.role == "system"]


# -- annotations -----------------------------------------------------------------------------------------------------
def test_a_message_is_found_to_be_negative_in_the_background(talk: Talk, api: Any) -> None:
    talk.post("The parcel is late, this is negative and again negative.")
    _run(talk)
    message = api.get(f"/conversations/{talk.id}/messages").json()["items"][0]
    row = api.get(f"/conversations/{talk.id}").json()
    assert (message["language"], message["sentiment"]["label"]) == ("en", "negative")
    assert (row["language"], row["mood"]["label"]) == ("en", "negative")
    assert message["sentiment"]["score"] < -0.9


def test_until_then_there_is_nothing(talk: Talk, api: Any) -> None:
    talk.post("The parcel is late.")
    message = api.get(f"/conversations/{talk.id}/messages").json()["items"][0]
    assert [message[name] for name in ("language", "sentiment", "intent", "translations")] == [None, None, None, {}]
    assert api.get(f"/conversations/{talk.id}").json()["mood"] is None


def test_a_visitor_is_not_told(talk: Talk) -> None:
    posted = talk.post("The parcel is late, this is negative.")
    _run(talk)
    shown = posted.message.as_dict(staff=False)
    assert {"language", "sentiment", "intent", "translations", "original"} & set(shown) == set()


def test_what_staff_write_has_no_part_in_the_mood(talk: Talk) -> None:
    talk.post("all is positive")
    talk.post("negative negative negative", role="agent")
    _run(talk)
    assert talk.row.mood == "positive"
    assert [message.sentiment for message in talk.messages()] == ["positive", "negative"]
    assert talk.messages()[1].intent == ""


def test_a_message_of_the_system_is_not_read(talk: Talk) -> None:
    talk.post("handed over", role="system")
    dispatch_due()
    assert _jobs(talk.tenant_id, ANNOTATE) == []


def test_annotations_leave_the_conversation_in_its_place(talk: Talk) -> None:
    talk.post("negative")
    before = talk.row.updated_at
    _run(talk)
    assert (talk.row.mood, talk.row.updated_at) == ("negative", before)


def test_a_portuguese_message_is_read_in_english_and_that_is_kept(talk: Talk, fake_models: fakes.FakeModels) -> None:
    text = "A minha encomenda ainda não chegou e estou muito aborrecida com isso."
    talk.post(text)
    _run(talk)
    row = talk.messages()[0]
    assert (row.text, row.language, row.translations) == (text, "pt", {"en": text.upper()})
    assert text.upper() in fake_models.embedded


def test_a_message_in_a_language_nobody_reads_has_a_language_alone(talk: Talk) -> None:
    talk.post("我的订单还没有到, 我等了两个星期了。")
    _run(talk)
    row = talk.messages()[0]
    assert (row.language, row.sentiment, row.sentiment_score, row.intent) == ("zh", "", None, "")


def test_without_a_translator_a_foreign_message_has_a_language_alone(
    talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.insights.services.annotations.sources_for", lambda target: [])
    talk.post("A minha encomenda ainda não chegou e estou muito aborrecida com isso.")
    _run(talk)
    assert (talk.messages()[0].language, talk.messages()[0].sentiment) == ("pt", "")


def test_a_message_without_letters_is_no_error(talk: Talk) -> None:
    talk.post("👍 12345 !!!")
    _run(talk)
    assert (talk.messages()[0].language, _jobs(talk.tenant_id, ANNOTATE)) == ("", [])


def test_a_message_that_is_gone_ends_its_job(talk: Talk) -> None:
    with tenant_scope(talk.tenant_id):
        job_id = annotation_start(tenant_id=talk.tenant_id, message_id=uuid.uuid4())
    assert job_run(job_id) is True
    assert _jobs(talk.tenant_id, ANNOTATE) == []


@pytest.mark.parametrize(
    ("scores", "label"),
    [([], ""), ([-0.3, 0.1], "neutral"), ([0.9], "positive"), ([-0.9, 0.4], "negative"), ([0.9, -0.4], "positive")],
)
def test_the_newest_message_weighs_most_in_the_mood(scores: list[float], label: str) -> None:
    assert mood_of(scores)[0] == label


def test_posting_a_message_waits_for_none_of_it(talk: Talk, fake_models: fakes.FakeModels) -> None:
    talk.post("The parcel is late, this is negative.")
    assert (_jobs(talk.tenant_id, ANNOTATE), fake_models.embedded) == ([], [])
    dispatch_due()
    assert (len(_jobs(talk.tenant_id, ANNOTATE)), fake_models.embedded) == (1, [])


def test_messages_from_before_are_read_on_request_and_once(talk: Talk, tenant: Any, capsys: Any) -> None:
    talk.post("one negative message")
    talk.post("another negative message")
    talk.post("a note of the system", role="system")
    call_command("annotate", org=tenant.slug, limit=1)
    call_command("annotate", org=tenant.slug)
    for job_id in _jobs(talk.tenant_id, ANNOTATE):
        job_run(job_id)
    call_command("annotate", org=tenant.slug)
    assert [message.sentiment for message in talk.messages()] == ["negative", "negative", ""]
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["1", "2", "0"]


# -- filters and labels ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("mood=negative", True),
        ("mood=positive", False),
        ("language=en", True),
        ("language=pt", False),
        ("intent=nothing", False),
    ],
)
def test_conversations_are_filtered_by_what_was_found(talk: Talk, api: Any, query: str, found: bool) -> None:
    talk.post("The parcel is late, this is negative.")
    _run(talk)
    items = api.get(f"/conversations?{query}").json()["items"]
    assert [item["id"] for item in items] == ([str(talk.id)] if found else [])


def test_an_unknown_mood_is_refused(api: Any) -> None:
    response = api.get("/conversations?mood=furious")
    assert (response.status_code, response.json()["error"]["code"]) == (422, "mood_invalid")


def test_an_intent_is_suggested_as_a_label_until_it_is_one(talk: Talk, api: Any) -> None:
    talk.post("I would like a refund.")
    _run(talk)
    found = api.get(f"/conversations/{talk.id}").json()
    assert found["suggested_labels"] == found["intents"] == ["return or refund"]
    assert api.get("/conversations?intent=return or refund").json()["items"][0]["id"] == str(talk.id)
    changed = api.patch(f"/conversations/{talk.id}", {"labels": found["suggested_labels"]}).json()
    assert (changed["suggested_labels"], changed["intents"]) == ([], ["return or refund"])


# -- search by meaning -----------------------------------------------------------------------------------------------
def test_a_conversation_is_found_by_its_nearest_message(talk: Talk, talk_of: Callable[[Any], Talk], api: Any) -> None:
    tenant = type("Tenant", (), {"id": talk.tenant_id})
    other = talk_of(tenant)
    talk.post("hello there")
    talk.post("the courier lost my parcel")
    other.post("which payment methods do you accept")
    _run(talk)
    items = api.get("/conversations/search?q=lost parcel").json()["items"]
    assert (items[0]["id"], items[0]["match"]["seq"]) == (str(talk.id), 2)
    assert [item["id"] for item in items].count(str(talk.id)) == 1


def test_search_finds_nothing_of_another_organisation(talk: Talk, other_api: Any) -> None:
    talk.post("the courier lost my parcel")
    _run(talk)
    assert other_api.get("/conversations/search?q=the courier lost my parcel").json()["items"] == []


def test_a_search_for_nothing_is_refused(api: Any) -> None:
    response = api.get("/conversations/search?q=%20")
    assert (response.status_code, response.json()["error"]["code"]) == (422, "query_missing")


def test_a_message_has_one_vector(talk: Talk) -> None:
    posted = talk.post("hello there")
    _run(talk)
    with tenant_scope(talk.tenant_id):
        assert list(MessageVector.objects.values_list("message_id", "conversation_id")) == [
            (posted.message.id, talk.id)
        ]


# -- translation -----------------------------------------------------------------------------------------------------
PORTUGUESE = "Bom dia, quando é que chega a minha encomenda?"


def test_an_agent_reads_messages_in_another_language(talk: Talk, api: Any, fake_models: fakes.FakeModels) -> None:
    talk.post(PORTUGUESE)
    answers = [api.post(f"/conversations/{talk.id}/translations", {"target": "en"}).json()["items"] for _ in range(2)]
    assert answers[0][0]["text"] == answers[1][0]["text"] == PORTUGUESE.upper()
    assert len(fake_models.translated) == 1
    assert talk.messages()[0].text == PORTUGUESE


def test_a_language_without_a_model_says_so_in_place(talk: Talk, api: Any) -> None:
    talk.post("我的订单还没有到, 我等了两个星期了。")
    talk.post(PORTUGUESE)
    _run(talk)
    items = api.post(f"/conversations/{talk.id}/translations", {"target": "en"}).json()["items"]
    assert items[0]["error"]["code"] == "language_pair_unknown"
    assert items[1]["text"] == PORTUGUESE.upper()


def test_a_target_that_is_no_language_is_refused(talk: Talk, api: Any) -> None:
    assert api.post(f"/conversations/{talk.id}/translations", {"target": "!"}).status_code == 422


def test_what_is_in_the_agents_language_is_left_alone(talk: Talk, api: Any) -> None:
    talk.post("When does my parcel arrive at last?")
    _run(talk)
    assert api.post(f"/conversations/{talk.id}/translations", {"target": "en"}).json()["items"] == []


def test_a_translated_reply_keeps_what_the_agent_wrote(talk: Talk, api: Any) -> None:
    body = {"role": "agent", "text": "Chega amanhã.", "original": {"text": "It arrives tomorrow.", "language": "en"}}
    made = api.post(f"/conversations/{talk.id}/messages", body).json()
    assert (made["text"], made["original"]) == ("Chega amanhã.", body["original"])
    assert talk.row.last_text == "Chega amanhã."


@pytest.mark.parametrize("body", [{"role": "contact"}, {"role": "agent", "private": True}])
def test_only_a_reply_can_be_a_translation(talk: Talk, api: Any, body: dict[str, Any]) -> None:
    original = {"text": "x", "language": "en"}
    response = api.post(f"/conversations/{talk.id}/messages", {**body, "text": "y", "original": original})
    assert (response.status_code, response.json()["error"]["code"]) == (422, "original_invalid")


# -- summaries -------------------------------------------------------------------------------------------------------
def test_a_hand_over_leaves_a_summary_that_only_staff_see(talk: Talk) -> None:
    _tell(talk)
    dispatch_due()
    conversation_handoff(tenant_id=talk.tenant_id, conversation_id=talk.id, reason="asked", actor="test")
    conversation_update(tenant_id=talk.tenant_id, conversation_id=talk.id, changes={"handler": "bot"}, actor="test")
    conversation_update(tenant_id=talk.tenant_id, conversation_id=talk.id, changes={"handler": "person"}, actor="test")
    _run(talk, SUMMARIZE)
    notes = [message for message in talk.messages() if message.role == "system"]
    assert [note.private for note in notes] == [True]
    assert notes[0].text.startswith("Summary at hand-over\n- Visitor: ")


def test_the_sentences_of_a_summary_were_said_by_whom_it_says(talk: Talk) -> None:
    _tell(talk)
    conversation_update(tenant_id=talk.tenant_id, conversation_id=talk.id, changes={"status": "resolved"}, actor="t")
    _run(talk, SUMMARIZE)
    names = {"contact": "Visitor", "bot": "Assistant", "agent": "Agent"}
    lines = [line.removeprefix("- ").split(": ", 1) for line in _notes(talk)[0].splitlines()[1:]]
    said = {name: [text for role, text in STORY if names[role] == name] for name in names.values()}
    assert lines != []
    assert [line for line in lines if not any(line[1] in text for text in said[line[0]])] == []


def test_a_summary_makes_nothing_unread(talk: Talk, api: Any) -> None:
    _tell(talk)
    assert api.get(f"/conversations/{talk.id}").json()["unread"] == 0
    conversation_update(tenant_id=talk.tenant_id, conversation_id=talk.id, changes={"status": "resolved"}, actor="t")
    _run(talk, SUMMARIZE)
    found = api.get(f"/conversations/{talk.id}").json()
    assert (found["unread"], found["status"], found["last_seq"]) == (0, "resolved", len(STORY) + 1)


def test_a_short_conversation_is_not_summarised(talk: Talk) -> None:
    for _ in range(MIN_MESSAGES - 1):
        talk.post("hello")
    conversation_update(tenant_id=talk.tenant_id, conversation_id=talk.id, changes={"status": "resolved"}, actor="t")
    _run(talk, SUMMARIZE)
    assert _notes(talk) == []
