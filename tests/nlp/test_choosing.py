"""Which sentences a summary takes, and that a call for many texts gives each what it gets alone."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest

from apps.nlp.services.choosing import Weights, sentences_choose
from apps.nlp.services.running import nlp_run

# The first call loads the models.
run = partial(nlp_run, deadline_s=300)
PLAIN = Weights(lead=0.0, leaning=1.0, same=0.8)
WORDS = "of at least eight words that say something here"


def vectors(*rows: tuple[float, ...]) -> Any:
    made = np.array(rows, dtype=np.float32)
    return made / np.linalg.norm(made, axis=1, keepdims=True)


def test_the_most_central_sentences_come_in_the_order_of_the_text() -> None:
    sentences = [f"{name} {WORDS}" for name in ("far", "near", "middle", "other")]
    found = vectors((1, 0, 0, 0), (0.2, 1, 1, 0), (0.2, 1, 0, 1), (0, 0, 1, 1))
    assert sentences_choose(sentences, found, 2, weights=PLAIN) == [1, 2]


def test_a_sentence_that_says_the_same_is_left_out() -> None:
    sentences = [f"{name} {WORDS}" for name in ("one", "the same", "another")]
    found = vectors((1, 0.2), (1, 0.21), (0.3, 1))
    assert sentences_choose(sentences, found, 2, weights=PLAIN) in ([0, 2], [1, 2])
    assert len(sentences_choose(sentences, found, 3, weights=PLAIN)) == 2


def test_the_beginning_counts_as_much_as_the_weights_say() -> None:
    sentences = [f"{name} {WORDS}" for name in ("first", "central", "third")]
    found = vectors((1, 0, 0), (1, 1, 1), (0, 0, 1))
    assert sentences_choose(sentences, found, 1, weights=PLAIN) == [1]
    assert sentences_choose(sentences, found, 1, weights=Weights(1.0, 1.0, 0.8)) == [0]


def test_a_sentence_that_leans_on_another_gives_way() -> None:
    alike = vectors((1, 0.1), (1, 0.1), (1, 0.1))
    sentences = [f"Title {WORDS}"[:5], f"However, it {WORDS}", f"The library {WORDS}"]
    assert sentences_choose(sentences, alike, 1, weights=Weights(0.0, 0.5, 0.8)) == [2]


def test_a_heading_is_no_summary() -> None:
    alike = vectors((1, 0.1), (1, 0.1))
    assert sentences_choose(["News", f"The council {WORDS}"], alike, 1, weights=PLAIN) == [1]


def test_there_are_never_more_sentences_than_the_text_has() -> None:
    assert sentences_choose([f"One {WORDS}"], vectors((1, 0)), 5, weights=PLAIN) == [0]
    assert sentences_choose([], np.empty((0, 2), dtype=np.float32), 5, weights=PLAIN) == []


TEXTS = [
    "The council approved a tram line on Monday. It connects the station and the university. Works begin in March 2027.",
    "Short.",
    "Our shop opens in Leeds on 4 May. Everything is cheaper on the first day. Anna Keller leads the shop.",
]


@pytest.mark.models
@pytest.mark.parametrize(
    ("task", "options"),
    [
        ("summarize", {"length": "short"}),
        ("summarize", {"length": "headline"}),
        ("summarize", {"length": "medium", "format": "bullets"}),
        ("summarize", {"method": "abstractive", "length": "short"}),
        ("answer", {"question": "When is it?"}),
        ("answer", {"question": "Who leads the shop?"}),
        ("generate", {"temperature": 0, "max_tokens": 16}),
        ("redact", {}),
        ("entities", {}),
        ("language", {}),
    ],
)
def test_many_texts_get_what_each_gets_alone(models: Any, tenant: Any, task: str, options: dict[str, Any]) -> None:
    together = run(tenant_id=tenant.id, task=task, texts=TEXTS, options=options)
    alone = [run(tenant_id=tenant.id, task=task, texts=[text], options=options)[0] for text in TEXTS]
    assert together == alone


@pytest.mark.models
@pytest.mark.parametrize("method", ["extractive", "abstractive"])
def test_a_text_with_too_many_sentences_is_refused_in_its_place(models: Any, tenant: Any, method: str) -> None:
    texts = ["One sentence. " * 4_001, TEXTS[0]]
    found = run(tenant_id=tenant.id, task="summarize", texts=texts, options={"length": "short", "method": method})
    assert (found[0].get("error", {}).get("code"), "summary" in found[1]) == ("text_too_long", True)
    assert "error" in run(tenant_id=tenant.id, task="summarize", texts=texts[:1], options={"method": method})[0]


@pytest.mark.models
def test_a_brief_that_is_too_long_is_refused_in_its_place(models: Any, tenant: Any) -> None:
    options = {"temperature": 0, "max_tokens": 4}
    found = run(tenant_id=tenant.id, task="generate", texts=["x" * 7_000, "Opening hours"], options=options)
    assert (found[0].get("error", {}).get("code"), len(found[1].get("texts", []))) == ("text_too_long", 1)
