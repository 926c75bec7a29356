"""Translation with the packaged models: what is kept is kept by them, and the figures that the guide shows hold."""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from typing import Any

import pytest

from apps.nlp.evaluation.translation import catalogue_pairs, placeholders_kept, translation_evaluate
from apps.nlp.services import nlp_run
from apps.translation.services.glossary import glossary_set
from apps.translation.types import Call
from tests.translation.test_documents import example, word, written
from tests.translation.test_marks import KEPT

pytestmark = [pytest.mark.models, pytest.mark.usefixtures("models"), pytest.mark.timeout(600)]
FRAMES = [
    "Your order {} has been shipped.",
    "Please click {} to reset your password.",
    "{} is not a valid value.",
    "We could not find {} in your account, try {} instead.",
]


def run(tenant_id: uuid.UUID, texts: Sequence[str], **options: Any) -> list[dict[str, Any]]:
    asked = {"source": "en", "target": "pt", **options}
    return nlp_run(tenant_id=tenant_id, task="translate", texts=texts, options=asked, deadline_s=300)


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.django_db
def test_the_real_model_keeps_what_is_no_text(tenant: Any, frame: str) -> None:
    texts = [frame.replace("{}", kept) for kept in KEPT]
    found = [one["text"] for one in run(tenant.id, texts)]
    counts = [(kept, text.count(kept)) for kept, text in zip(KEPT, found, strict=True)]
    assert counts == [(kept, text.count(kept)) for kept, text in zip(KEPT, texts, strict=True)]
    assert [text for text, source in zip(found, texts, strict=True) if text == source] == []


@pytest.mark.django_db
def test_numbers_tags_and_lines_come_through_both_ways(tenant: Any) -> None:
    text = "<p>Your <b>order</b> of 1,234.50 dollars\n\n  arrives on <i>2024-05-03</i> at 10:30.</p>\n"
    (there,) = run(tenant.id, [text])
    (back,) = run(tenant.id, [there["text"]], source="pt", target="en")
    kept = re.compile(r"</?\w+>|\d[\d.,:-]*\d|\n+")
    assert sorted(kept.findall(there["text"])) == sorted(kept.findall(back["text"])) == sorted(kept.findall(text))
    assert "order" not in there["text"]


@pytest.mark.django_db
def test_a_term_is_in_the_translation(tenant: Any) -> None:
    glossary_set(tenant_id=tenant.id, source="en", target="pt", term="shopping cart", translation="cestinha")
    texts = ["Your shopping cart is empty.", "Add it to the shopping cart, then pay.", "Shopping cart"]
    assert ["cestinha" in one["text"].lower() for one in run(tenant.id, texts)] == [True] * 3


@pytest.mark.django_db
def test_a_word_document_goes_through_the_real_model(tenant: Any) -> None:
    data = written(word(example()), "docx", lambda texts: [one["text"] for one in run(tenant.id, texts)])
    assert len(data) > 10_000


@pytest.mark.django_db
def test_quality_on_djangos_catalogues_beats_the_baselines(tenant: Any) -> None:
    report = translation_evaluate(Call(tenant.id, "batch"), lambda done, total: None)
    ahead = {row.metric.split(" ")[0]: [row.ours - other for other in row.baselines.values()] for row in report.rows}
    assert len(catalogue_pairs()) > 500
    assert min(ahead["chrF"]) > 1
    assert min(ahead["BLEU"]) > 1
    assert report.rows[2].ours >= 0.99


def test_kept_placeholders_are_counted() -> None:
    assert placeholders_kept(["a %s", "b {x} <b>c</b>", "no"], ["A %s", "B <b>c</b> {x}", "-"]) == 1.0
    assert placeholders_kept(["a %s", "b {x}"], ["A %s %s", "B {x}"]) == 0.5
