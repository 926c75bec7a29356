"""A message that asks several things: each is answered, or it is said which is not."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from apps.assistant.condense import MAX_QUESTIONS, Query, message_queries
from apps.assistant.services import answering
from apps.assistant.types import Question
from apps.knowledge.types import Passage
from tests import fakes

pytestmark = pytest.mark.django_db(transaction=True)


def passage(heading: str, text: str) -> Passage:
    ids = (uuid.uuid4(), uuid.uuid4(), uuid.uuid4())
    return Passage(*ids, "Help", "help.md", "Help", heading, heading.lower(), "/k", text, 1.2, 0.9, 0.9)


WARRANTY = passage("Warranty", "The warranty is two years from the day of purchase.")
STORE = passage("Store", "The store in Lisbon is open from ten to seven.")
PARCEL = passage("Parcel", "A parcel takes three days. A parcel costs five euros.")


def asked(message: str) -> list[str]:
    return [question for question, _ in message_queries([], message)]


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (
            "What is the warranty? And when is the store in Lisbon open?",
            ["What is the warranty?", "And when is the store in Lisbon open?"],
        ),
        (
            "Hi!\nHow do I return a coat?\nWhat does a parcel cost?",
            ["How do I return a coat?", "What does a parcel cost?"],
        ),
        ("保修期多长？里斯本的商店几点开门？", ["保修期多长？", "里斯本的商店几点开门？"]),
        ("How are you? Can you help me? How long is the warranty?", None),
        (
            "How long is the warranty? Is it long, the warranty?",
            None,
        ),
        ("How long is the warranty? How long is the warranty??", None),
        ("I lost the receipt. What about the warranty?", None),
        ("Where is my parcel", None),
    ],
)
def test_the_questions_of_a_message(message: str, expected: list[str] | None) -> None:
    assert asked(message) == (expected or [message])


def test_questions_are_bounded() -> None:
    assert len(asked(" ".join(f"Where is parcel{number} now?" for number in range(40)))) == MAX_QUESTIONS


def test_a_later_question_may_lean_on_the_first_and_the_rest_names_what_is_meant() -> None:
    message = "I have the kettle BX-300. How do I clean it? How long is the warranty?"
    first, second = (queries for _, queries in message_queries([], message))
    assert [[one.raw for one in query.exact] for query in (first[0], second[0])] == [["BX-300"], ["BX-300"]]
    leaning = message_queries([], "How do I return a coat? How long does it take?")[1][1]
    assert leaning[0].text == "How do I return a coat? How long does it take?"


class Told:
    """What an answer released, and the marks before it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, tenant: Any, known: dict[str, Passage]) -> None:
        self.pieces: list[str] = []
        self.marks: list[dict[str, Any]] = []
        self.tenant = tenant
        self.models = fakes.install(monkeypatch, fakes.FakeModels())

        def search_by(**_: Any) -> Any:
            def search(query: Query, k: int) -> tuple[Passage, ...]:
                return tuple(found for word, found in known.items() if word in query.text.lower())[:k]

            return search

        monkeypatch.setattr(answering, "search_by", search_by)

    def ask(self, text: str) -> Any:
        run = answering.AnswerRun(
            Question(tenant_id=self.tenant.id, text=text),
            release=self.pieces.append,
            note=self.marks.append,
            should_stop=lambda: False,
        )
        return run.run()


@pytest.fixture
def told(tenant: Any, monkeypatch: pytest.MonkeyPatch) -> Told:
    return Told(monkeypatch, tenant, {"warranty": WARRANTY, "store": STORE, "parcel": PARCEL})


def test_both_are_answered_with_their_citations(told: Told) -> None:
    answer = told.ask("What is the warranty? And when is the store in Lisbon open?")
    assert (answer.decision, answer.reason) == ("answer", "found")
    assert answer.text == f"{WARRANTY.text}\n\n{STORE.text}" == "".join(told.pieces)
    assert [citation["heading"] for citation in answer.citations] == ["Warranty", "Store"]
    assert [mark["citation"]["heading"] for mark in told.marks] == ["Warranty", "Store"]
    assert [shown["heading"] for shown in answer.why["passages"]] == ["Warranty", "Store"]


def test_what_is_not_answered_is_said(told: Told) -> None:
    answer = told.ask("What is the warranty? Do you sell elephants on Mars?")
    assert (answer.decision, answer.reason) == ("answer", "partial")
    assert answer.text.startswith(f"{WARRANTY.text}\n\n")
    assert "“Do you sell elephants on Mars?”" in answer.text
    assert "".join(told.pieces) == answer.text


def test_one_answer_to_two_questions_is_given_once(told: Told) -> None:
    told.models.say = lambda _: WARRANTY.text
    answer = told.ask("How long is the warranty? When does the warranty end?")
    assert (answer.text, answer.reason) == (WARRANTY.text, "found")
    assert len(answer.citations) == 1


def test_none_answered_is_one_abstention(told: Told) -> None:
    answer = told.ask("Do you sell elephants on Mars? Who painted the moon green?")
    assert answer.decision == "abstain"
    assert answer.citations == []
    assert len(told.pieces) == 1


def test_why_shows_what_was_found_where_nothing_could_be_quoted(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    told.models.say = lambda _: "Elephants are grey."
    monkeypatch.setattr(answering, "quote_answer", lambda *_: None)
    answer = told.ask("What is the warranty?")
    assert (answer.decision, answer.reason) == ("abstain", "nothing_to_quote")
    assert [shown["heading"] for shown in answer.why["passages"]] == ["Warranty"]
    assert answer.why["query"] == "What is the warranty?"


def test_where_the_model_says_nothing_that_holds_each_is_quoted_under_one_lead(told: Told) -> None:
    told.models.say = lambda _: "Elephants are grey."
    answer = told.ask("What is the warranty? And when is the store in Lisbon open?")
    assert answer.text.count("Our documents say:") == 1
    assert answer.text.endswith(f"{WARRANTY.text}\n\n{STORE.text}")
