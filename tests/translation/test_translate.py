"""Translation as a task: languages, the organisation's terms and texts, errors in their places."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from apps.core.errors import AppError, Invalid
from apps.nlp.services import nlp_run
from apps.translation.services.glossary import glossary_set
from apps.translation.services.memory import memory_add
from nlpsuite.urls import urlpatterns  # noqa: F401  (stand-ins replace the calls of modules that are loaded)
from tests import fakes
from tests.conftest import ApiClient

ENGLISH = "Your order was sent to the shop yesterday."
PORTUGUESE = "O seu pedido foi enviado para a loja ontem."
FRENCH = "Votre commande a été envoyée au magasin hier."


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> fakes.FakeModels:
    return fakes.install(monkeypatch, fakes.FakeModels())


def run(tenant: Any, *texts: str, **options: Any) -> list[dict[str, Any]]:
    return nlp_run(tenant_id=tenant.id, task="translate", texts=texts, options={"target": "pt", **options})


@pytest.mark.usefixtures("models")
def test_the_language_is_found_for_each_text(tenant: Any) -> None:
    found = run(tenant, ENGLISH, PORTUGUESE, "12345", "🙂")
    assert [one["source"] for one in found] == ["en", "pt", "und", "und"]
    assert [one["text"] for one in found] == [ENGLISH.upper(), PORTUGUESE, "12345", "🙂"]
    assert found[0] | {"confidence": 0} == {
        "model": "bergamot-en-pt", "text": ENGLISH.upper(), "source": "en", "target": "pt", "confidence": 0,
    }  # fmt: skip


@pytest.mark.parametrize("text", ["Hello", "Thanks!", "Order status", "Cancel {name}", "See https://a.example/é"])
@pytest.mark.usefixtures("models")
def test_a_short_text_counts_as_the_likeliest_language_that_can_be_translated(tenant: Any, text: str) -> None:
    assert run(tenant, text)[0]["source"] in {"en", "pt"}


@pytest.mark.usefixtures("models")
def test_a_language_that_nobody_translates_is_an_error_of_that_text_and_names_the_pairs(tenant: Any) -> None:
    found = run(tenant, FRENCH, ENGLISH)
    assert found[0]["error"]["code"] == "language_pair_unknown"
    assert "en-pt, pt-en" in found[0]["error"]["message"]
    assert found[1]["text"] == ENGLISH.upper()


@pytest.mark.parametrize(
    "options", [{"source": "fr"}, {"target": "xx", "source": "en"}, {"source": "de", "target": "fr"}]
)
@pytest.mark.usefixtures("models")
def test_a_pair_that_was_asked_for_and_is_not_there_is_refused_with_those_that_are(
    tenant: Any, options: dict[str, str]
) -> None:
    with pytest.raises(Invalid) as caught:
        run(tenant, ENGLISH, **options)
    assert caught.value.code == "language_pair_unknown"
    assert caught.value.details == {"pairs": ["en-pt", "pt-en"]}


@pytest.mark.parametrize("target", ["pt", "pt-BR", "PT_br"])
def test_a_region_does_not_change_the_model(tenant: Any, models: fakes.FakeModels, target: str) -> None:
    assert run(tenant, ENGLISH, target=target, source="en-GB")[0]["target"] == target
    assert {(item.source, item.target) for item in models.translated} == {("en", "pt")}


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"target": ""}, "options_invalid"),
        ({"target": "en'; --"}, "options_invalid"),
        ({"source": 5}, "options_invalid"),
        ({"format": "pdf"}, "options_invalid"),
        ({"tone": "x"}, "options_invalid"),
        ({"model": "nothing"}, "model_not_found"),
        ({"model": "all-minilm-l6-v2"}, "model_role"),
        ({"explain": True}, "explain_unsupported"),
    ],
)
@pytest.mark.usefixtures("models")
def test_options_that_make_no_sense_are_refused(tenant: Any, options: dict[str, Any], code: str) -> None:
    with pytest.raises(AppError) as caught:
        run(tenant, ENGLISH, **options)
    assert caught.value.code == code


def test_sentences_that_come_again_are_asked_for_once(tenant: Any, models: fakes.FakeModels) -> None:
    run(tenant, *[f"{ENGLISH} {ENGLISH}"] * 20)
    assert [item.text for item in models.translated] == [ENGLISH]


def test_many_sentences_are_asked_for_in_calls_that_the_models_take(tenant: Any, models: fakes.FakeModels) -> None:
    text = "\n".join(f"This is line {chr(97 + n % 26)}{'x' * (n // 26)}." for n in range(700))
    found = run(tenant, text, source="en")
    assert found[0]["text"] == text.upper()
    assert len(models.models) == 3


@pytest.mark.usefixtures("models")
def test_terms_and_approved_texts_are_those_of_the_organisation(tenant: Any, other_tenant: Any) -> None:
    languages = {"source": "en", "target": "pt-BR"}
    glossary_set(tenant_id=tenant.id, term="order", translation="encomenda", **languages)
    memory_add(tenant_id=tenant.id, units=[("Thank you.", "Obrigado.")], **languages)
    text = "Your order is here. Thank you."
    asked = {"source": "en", "target": "pt"}
    assert run(tenant, text, **asked)[0]["text"] == "YOUR encomenda IS HERE. Obrigado."
    assert run(tenant, text, glossary=False, memory=False, **asked)[0]["text"] == text.upper()
    assert run(other_tenant, text, **asked)[0]["text"] == text.upper()
    assert run(tenant, "pedido", source="pt", target="en")[0]["text"] == "PEDIDO"


@pytest.mark.usefixtures("models")
def test_html_and_markdown_are_read_as_such(tenant: Any) -> None:
    (html,) = run(tenant, "<p>my <b>shop</b><script>x()</script></p>", source="en", format="html")
    (markdown,) = run(tenant, "# my `shop`", source="en", format="markdown")
    assert (html["text"], markdown["text"]) == ("<p>MY <b>SHOP</b><script>x()</script></p>", "# MY `shop`")


@pytest.mark.usefixtures("models")
def test_other_pairs_come_from_the_catalogue(tenant: Any, tmp_path: Path, settings: Any) -> None:
    common = {"backend": "none", "revision": "1", "files": {}, "licence": "none", "context_tokens": 256}
    found = [
        {"name": "de", "role": "translator", "source": "path:/x", "options": {"pairs": [["en", "de", ""]]}, **common},
        {"name": "nllb", "role": "translator", "source": "path:/y", **common},
    ]
    settings.INFERENCE_CATALOGUE = tmp_path / "catalogue.json"
    settings.INFERENCE_CATALOGUE.write_text(json.dumps({"models": found, "defaults": {}}))
    asked = [("en", "pt"), ("en", "de"), ("fi", "sw")]
    models = [run(tenant, ENGLISH, source=source, target=target)[0]["model"] for source, target in asked]
    assert models == ["bergamot-en-pt", "de", "nllb"]
    assert run(tenant, FRENCH, target="de")[0]["model"] == "nllb"


ODD = [
    "a\x00b word", "\u202eright to left\u202c", "مرحبا بالعالم", "\ud800 lone", "=1+1", "<b>", "{", "\u200b\u200d",
    "😀" * 500,
    "mixed Кириллица and 漢字 words", "x" * 100_000, "\n" * 5_000, "\x07bell word", "%s" * 500, "&" * 1_000,
]  # fmt: skip


@pytest.mark.parametrize("text", ODD, ids=range(len(ODD)))
@pytest.mark.parametrize("form", ["text", "html", "markdown"])
@pytest.mark.usefixtures("models")
def test_odd_texts_are_answered(api: ApiClient, text: str, form: str) -> None:
    body = json.dumps({"text": text, "target": "pt", "format": form})
    assert api.post("/nlp/translate", json.loads(body)).status_code in {200, 422}
