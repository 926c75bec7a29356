"""A quotation is verbatim, whole and reads well by itself."""

from __future__ import annotations

import pytest

from apps.nlp.services.grounding.check import PassageText
from apps.nlp.services.grounding.quoting import MAX_QUOTE_CHARS, item_rest, quote_answer
from tests.assistant.embeddings import bag_embed

WIDGET = PassageText(
    "To put the chat widget on your site, paste one line before the closing body tag:\n"
    '<script src="https://support.example.com/widget.js" data-token="TOKEN" defer></script>\n'
    "Replace the token with your own. It is public.",
    "The chat widget › Put it on your site",
)
RETURNS = PassageText(
    "Returns are free. You can return these things:\n- shoes\n- coats\n- hats\nThis holds for 30 days.", "Returns"
)
CASES = PassageText(
    "A refund is paid in two cases. The parcel never came. The goods are broken. Ask us for anything else.", "Refunds"
)


def quote(question: str, *passages: PassageText) -> str:
    found = quote_answer(question, passages, bag_embed)
    assert found is not None
    return found.text


@pytest.mark.parametrize("question", ["How do I put the chat widget on my site?", "What can I return?", "Is it free?"])
def test_a_quotation_is_a_verbatim_piece_of_its_passage(question):
    passages = [WIDGET, RETURNS, CASES]
    found = quote_answer(question, passages, bag_embed)
    assert found is not None
    assert passages[found.passage_index].text[found.start : found.end] == found.text


def test_a_how_to_keeps_its_code():
    assert "data-token" in quote("How do I put the chat widget on my site?", WIDGET, RETURNS)


def test_a_list_comes_whole_and_with_its_lead_in():
    found = quote("Which things can I return?", RETURNS)
    assert found.find("You can return these things:") < found.find("- shoes") < found.find("- hats")


def test_what_a_sentence_announces_is_quoted_too():
    assert "The parcel never came. The goods are broken." in quote("When is a refund paid?", CASES)


def test_a_quotation_does_not_start_with_a_word_that_points_back():
    assert not quote("Is it public?", WIDGET).startswith("It")


def test_a_lead_in_without_its_list_is_not_quoted():
    torn = PassageText("You can pay with these cards:")
    assert quote_answer("Which cards can I pay with?", [torn], bag_embed) is None


def test_a_quotation_is_bounded():
    long = PassageText(" ".join(f"Rule {n} says that parcels of kind {n} are returned by post." for n in range(80)))
    assert len(quote("How are parcels returned?", long)) <= MAX_QUOTE_CHARS


def test_no_passage_gives_no_quotation():
    assert quote_answer("Anything?", [], bag_embed) is None


def test_what_an_item_goes_on_with() -> None:
    text = "Errors:\n- E12: the tank is empty. Fill it.\n- E13: the grinder is blocked.\nNo item. Goes on."
    first, third, plain = "- E12: the tank is empty.", "- E13: the grinder is blocked.", "No item."
    rests = [item_rest(text, text.index(said), text.index(said) + len(said)) for said in (first, third, plain)]
    assert rests == ["Fill it.", "", ""]
