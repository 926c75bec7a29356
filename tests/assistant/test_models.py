"""The measured promises, with the real encoder: error rates of the check, right decisions, recall."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.retrieval.corpus import DEVELOPERS_REFERENCE, developers_reference, guide

pytestmark = [
    pytest.mark.models,
    pytest.mark.skipif(not DEVELOPERS_REFERENCE.is_dir(), reason="Debian's developers-reference is not installed"),
]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def reference():
    from bench.retrieval.evaluate import Index

    return Index(developers_reference())


@pytest.fixture(scope="module")
def user_guide():
    from bench.retrieval.evaluate import Index

    return Index(guide(ROOT))


def decision(index, question):
    from apps.assistant.decision import Thresholds, decide

    return decide(question, index.search(question), Thresholds.default()).kind


@pytest.mark.parametrize(
    "question",
    ["How do I put the chat widget on my web site?", "Which file formats can I add to the knowledge base?"],
)
def test_the_guide_answers_its_own_users(user_guide, question):
    assert decision(user_guide, question) == "answer"


def test_a_question_about_swallows_is_abstained_on_both_collections(user_guide, reference):
    swallow = "What is the airspeed velocity of an unladen swallow?"
    assert (decision(user_guide, swallow), decision(reference, swallow)) == ("abstain", "abstain")


def test_the_quotation_for_the_widget_holds_the_line_to_paste(user_guide):
    from apps.nlp.services.grounding.check import PassageText
    from apps.nlp.services.grounding.quoting import quote_answer
    from bench.retrieval.corpus import embed

    question = "How do I put the chat widget on my web site?"
    found = quote_answer(question, [PassageText(h.text, h.heading) for h in user_guide.search(question)[:5]], embed)
    assert found is not None
    assert "<script" in found.text


def test_false_accepts_of_written_cases_stay_under_one_percent():
    from bench.retrieval.grounding_eval import Bench, written

    bench = Bench()
    false = [case for case in written() if not case.true]
    accepted = [case.sentence for case in false if bench.context(case).check(case.sentence).supported]
    assert len(accepted) <= len(false) // 100, accepted


def test_recall_is_above_words_alone_and_vectors_alone(reference):
    from bench.retrieval.evaluate import questions, recall

    asked = questions()
    lost = [len(recall(search, asked)) for search in (reference.search, reference.by_words, reference.by_vectors)]
    assert lost[0] < min(lost[1:])
    assert lost[0] <= 0.05 * sum(bool(q.places) for q in asked)
