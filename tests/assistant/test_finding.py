"""Which query decides: the message alone before the message with what was asked before."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from apps.assistant.condense import Query, condense_query
from apps.assistant.decision import Decision
from apps.assistant.finding import WIDE, find


@dataclass(frozen=True)
class Passage:
    text: str
    cosine: float
    heading: str = ""
    title: str = ""
    lexical: float = 0.0
    score: float = 0.0


RETURNS = Passage("Products can be returned within 30 days.", 0.9)
DELIVERY = Passage("Delivery costs 5 euros.", 0.6)
SHOES = Passage("Shoes can be returned within 60 days.", 0.7)


def judged(query: str, passages: tuple[Passage, ...]) -> Decision:
    best = max((p.cosine for p in passages), default=0.0)
    return Decision("answer", "found", best) if best >= 0.5 else Decision("abstain", "not_found", best)


def found(history: list[str], message: str, known: dict[str, Passage]) -> tuple[str, str]:
    """Return query and passage, where each query with one of the words finds that word's passage."""
    finding = find(
        condense_query(history, message).queries,
        lambda query, k: [passage for word, passage in known.items() if word in query.text.lower()][:k],
        judged,
    )
    return finding.decision.kind, finding.passages[0].text if finding.passages else ""


def test_an_old_question_never_outvotes_the_new_one() -> None:
    known = {"return": RETURNS, "delivery": DELIVERY}
    asked = ["How do I return a product?"]
    assert found(asked, "and what does delivery cost?", known) == ("answer", DELIVERY.text)


def test_what_the_documents_do_not_say_is_not_answered_with_the_question_before() -> None:
    asked = ["How do I return a product?"]
    assert found(asked, "and what about elephants?", {"return": RETURNS})[0] == "abstain"


def test_a_follow_up_is_answered_with_what_it_follows() -> None:
    asked = ["How do I return a product?"]
    assert found(asked, "and for shoes?", {"return": SHOES}) == ("answer", SHOES.text)
    assert found(asked, "How long does it take?", {"return": RETURNS}) == ("answer", RETURNS.text)


@pytest.mark.parametrize("scores", [(0.1, 0.4), (0.4, 0.1)])
def test_where_none_answers_the_most_confident_one_is_told(scores: tuple[float, float]) -> None:
    passages = {"a": Passage("a", scores[0]), "b": Passage("b", scores[1])}
    finding = find([Query("a"), Query("b")], lambda query, _: [passages[query.text]], judged)
    assert (finding.decision.kind, finding.decision.confidence) == ("abstain", 0.4)


def release(version: str, memory: str) -> Passage:
    return Passage(f"It needs {memory} MB of memory.", 0.8, heading=f"Version {version}")


RELEASES = [release("3.10", "500"), release("3.1", "300"), release("3.0", "290")]


@pytest.mark.parametrize(
    ("message", "answer"),
    [
        ("How much memory does version 3.1 need?", RELEASES[1].text),
        ("How much memory does version 3.10 need?", RELEASES[0].text),
        ("How much memory does version 3.2 need?", None),
        ("How much memory does it need?", RELEASES[0].text),
    ],
)
def test_a_version_is_answered_from_itself_or_not_at_all(message: str, answer: str | None) -> None:
    asked: list[int] = []

    def search(_: Query, k: int) -> list[Passage]:
        asked.append(k)
        return RELEASES

    finding = find(condense_query([], message).queries, search, judged)
    assert (finding.passages[0].text if finding.decision.kind == "answer" else None) == answer
    assert (asked[0] == WIDE) == ("version" in message)
    if answer is None:
        assert finding.decision.reason == "unknown_name"


def test_a_follow_up_on_another_version_is_about_that_one() -> None:
    queries = condense_query(["How much memory does version 3.10 need?"], "and version 3.1?").queries
    finding = find(queries, lambda *_: RELEASES, judged)
    assert finding.passages[0] is RELEASES[1]
