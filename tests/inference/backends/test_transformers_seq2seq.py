"""Encoder-decoder models from a folder: the text of `generate`, in batches, with languages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from apps.inference.engine.backends.transformers_seq2seq import TransformersText2Text, TransformersTranslator
from apps.inference.engine.errors import EngineError, ModelUnavailable, Unsupported
from apps.inference.engine.types import TranslateItem
from tests.inference.backends import tiny

SENTENCES = tuple(text for text in tiny.TEXTS if text.count(".") < 2)


def loaded(kind: Any, folder: Path, **changes: Any) -> Any:
    role = "translator" if kind is TransformersTranslator else "text2text"
    backend = kind(tiny.spec_of(folder, role, **changes), folder, tiny.config_of(folder.parent))
    backend.load()
    return backend


def reference(folder: Path, texts: Sequence[str], source: str = "", target: str = "", **settings: Any) -> list[str]:
    """What `generate` makes of each text alone."""
    model = transformers.AutoModelForSeq2SeqLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    if source:
        tokenizer.src_lang = source
        settings["forced_bos_token_id"] = tokenizer.convert_tokens_to_ids(target)
    found = []
    for text in texts:
        inputs = tokenizer(text, truncation=True, return_tensors="pt")
        inputs.pop("token_type_ids", None)
        row = model.generate(**inputs, **{"num_beams": 1, "do_sample": False, "max_new_tokens": 30, **settings})
        found.append(tokenizer.decode(row[0], skip_special_tokens=True).strip())
    return found


def run(backend: Any, items: Sequence[Any]) -> list[str]:
    return backend.run(backend.prepare(items))


def items_of(texts: Sequence[str], source: str = "", target: str = "") -> list[TranslateItem]:
    return [TranslateItem(text, source, target) for text in texts]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    place = tmp_path_factory.mktemp("models")
    return {name: getattr(tiny, name)(place / name) for name in ("t5", "marian", "nllb")}


@pytest.fixture(scope="module")
def t5(folders: dict[str, Path]) -> TransformersText2Text:
    return loaded(TransformersText2Text, folders["t5"], options={"max_new_tokens": 30})


@pytest.fixture(scope="module")
def marian(folders: dict[str, Path]) -> TransformersTranslator:
    return loaded(TransformersTranslator, folders["marian"], options={"max_new_tokens": 30})


@pytest.fixture(scope="module")
def nllb(folders: dict[str, Path]) -> TransformersTranslator:
    options = {"max_new_tokens": 30, "languages": {"en": "eng_Latn", "pt": "por_Latn", "de": "deu_Latn"}}
    return loaded(TransformersTranslator, folders["nllb"], options=options)


# -- text2text -------------------------------------------------------------------------------------------------------
def test_batch_gives_the_text_of_generate_one_by_one(t5: TransformersText2Text, folders: dict[str, Path]) -> None:
    assert run(t5, tiny.TEXTS) == reference(folders["t5"], tiny.TEXTS)


def test_beams_are_those_of_generate(folders: dict[str, Path]) -> None:
    backend = loaded(TransformersText2Text, folders["t5"], options={"beams": 3, "max_new_tokens": 30})
    assert run(backend, tiny.TEXTS[:3]) == reference(folders["t5"], tiny.TEXTS[:3], num_beams=3)


def test_prefix_is_put_before_each_text(folders: dict[str, Path]) -> None:
    backend = loaded(TransformersText2Text, folders["t5"], options={"prefix": "summarize: ", "max_new_tokens": 30})
    assert run(backend, ["ok"]) == reference(folders["t5"], ["summarize: ok"])


def test_long_text_is_cut_and_flagged(t5: TransformersText2Text) -> None:
    short, long = t5.prepare(["ok", "order " * 300])
    assert (short.truncated, long.truncated, long.size) == (False, True, 256)


def test_line_of_a_megabyte_is_cut(t5: TransformersText2Text) -> None:
    assert t5.prepare([tiny.LINE_OF_A_MEGABYTE])[0].truncated


@pytest.mark.parametrize("text", tiny.ODD_TEXTS, ids=tiny.name_of)
def test_odd_text_gives_text(t5: TransformersText2Text, text: str) -> None:
    assert all(isinstance(found, str) for found in run(t5, [text, "ok"]))


@pytest.mark.parametrize("item", [("a", "b"), TranslateItem("ok")], ids=repr)
def test_item_of_the_wrong_kind_is_an_error(t5: TransformersText2Text, item: Any) -> None:
    with pytest.raises(EngineError, match="takes texts"):
        t5.prepare([item])


def test_decoder_alone_is_no_model_of_this_role(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="cannot be loaded"):
        loaded(TransformersText2Text, tiny.chat(tmp_path / "chat"))


# -- translation -----------------------------------------------------------------------------------------------------
def test_marian_gives_the_text_of_generate(marian: TransformersTranslator, folders: dict[str, Path]) -> None:
    assert run(marian, items_of(SENTENCES)) == reference(folders["marian"], SENTENCES)


def test_text_is_translated_sentence_by_sentence(marian: TransformersTranslator) -> None:
    one, two = run(marian, items_of([SENTENCES[0], SENTENCES[-1]]))
    text = f"  {SENTENCES[0]}\n\n{SENTENCES[-1]} 12.50 \n"
    assert run(marian, items_of([text])) == [f"  {one}\n\n{two} 12.50 \n"]


def test_whole_texts_on_request(folders: dict[str, Path]) -> None:
    backend = loaded(TransformersTranslator, folders["marian"], options={"sentences": False, "max_new_tokens": 30})
    assert run(backend, items_of(tiny.TEXTS[5:6])) == reference(folders["marian"], tiny.TEXTS[5:6])


@pytest.mark.parametrize("text", ["", " \n", "12345", "😀", "\0", "!?"], ids=tiny.name_of)
def test_text_without_letters_stays(marian: TransformersTranslator, text: str) -> None:
    assert run(marian, items_of([text])) == [text]


@pytest.mark.parametrize("text", tiny.ODD_TEXTS, ids=tiny.name_of)
def test_odd_text_is_translated(marian: TransformersTranslator, text: str) -> None:
    assert all(isinstance(found, str) for found in run(marian, items_of([text, "ok"])))


def test_long_sentence_is_cut_and_flagged(marian: TransformersTranslator) -> None:
    prepared = marian.prepare(items_of(["order " * 300]))[0]
    assert prepared.truncated
    assert max(len(row) for row in prepared.payload.rows) == 64


@pytest.mark.parametrize("target", ["por_Latn", "deu_Latn"])
def test_languages_reach_the_model(nllb: TransformersTranslator, folders: dict[str, Path], target: str) -> None:
    expected = reference(folders["nllb"], SENTENCES[:4], "eng_Latn", target)
    assert run(nllb, items_of(SENTENCES[:4], "eng_Latn", target)) == expected


def test_one_batch_may_hold_several_languages(nllb: TransformersTranslator, folders: dict[str, Path]) -> None:
    text = SENTENCES[0]
    pairs = [("en", "pt"), ("en", "de"), ("de", "pt"), ("en", "pt")]
    codes = {"en": "eng_Latn", "pt": "por_Latn", "de": "deu_Latn"}
    expected = [reference(folders["nllb"], [text], codes[one], codes[other])[0] for one, other in pairs]
    assert run(nllb, [TranslateItem(text, one, other) for one, other in pairs]) == expected
    assert len(set(expected)) > 1


@pytest.mark.parametrize(
    ("source", "target", "parameter"),
    [
        ("xx", "pt", "source"),
        ("en", "xx", "target"),
        ("en", "", "target"),
        ("", "pt", "source"),
        ("en", "</s>x", "target"),
    ],
)
def test_unknown_language_is_refused(nllb: TransformersTranslator, source: str, target: str, parameter: str) -> None:
    with pytest.raises(Unsupported, match="knows no language") as caught:
        nllb.prepare([TranslateItem("ok", source, target)])
    assert caught.value.parameter == parameter


def test_catalogue_that_names_an_unknown_language_is_refused(folders: dict[str, Path]) -> None:
    with pytest.raises(ModelUnavailable, match="knows no language 'klingon'"):
        loaded(TransformersTranslator, folders["nllb"], options={"languages": {"tlh": "klingon"}})


@pytest.mark.parametrize(("source", "target", "parameter"), [("de", "pt", "source"), ("en", "fr", "target")])
def test_pair_outside_the_catalogues_is_refused(
    folders: dict[str, Path], source: str, target: str, parameter: str
) -> None:
    backend = loaded(TransformersTranslator, folders["marian"], options={"pairs": [["en", "pt"]]})
    assert run(backend, items_of(["ok"], "auto", ""))
    with pytest.raises(Unsupported, match="it knows en-pt") as caught:
        backend.prepare([TranslateItem("ok", source, target)])
    assert caught.value.parameter == parameter


def test_prefix_may_name_the_target(folders: dict[str, Path]) -> None:
    backend = loaded(TransformersTranslator, folders["t5"], options={"prefix": "to {target}: ", "max_new_tokens": 30})
    assert run(backend, items_of(["ok"], "en", "German")) == reference(folders["t5"], ["to German: ok"])


def test_translator_takes_texts_with_their_languages(marian: TransformersTranslator) -> None:
    with pytest.raises(EngineError, match="with their languages"):
        marian.prepare(["ok"])


def test_batch_gives_way(t5: TransformersText2Text) -> None:
    assert tiny.times_given_way(t5, tiny.TEXTS) >= 8
