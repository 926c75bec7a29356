"""What llama.cpp is told and what it says: GGUF headers, control tokens, schemas, stop strings."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest

from apps.inference.engine.backends.llama_gguf import gguf_facts
from apps.inference.engine.backends.llama_schema import SchemaError, SchemaWatch
from apps.inference.engine.backends.llama_text import Choice, Markers
from apps.inference.engine.errors import ModelUnavailable


def text(value: str) -> bytes:
    raw = value.encode()
    return struct.pack("<Q", len(raw)) + raw


def entry(name: str, kind: int, value: bytes) -> bytes:
    return text(name) + struct.pack("<I", kind) + value


def number(name: str, value: int) -> bytes:
    return entry(name, 4, struct.pack("<I", value))


def header(*entries: bytes, count: int | None = None) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", 3, 0, len(entries) if count is None else count) + b"".join(entries)


TOKENS = ["<s>", "a", "<|end|>", "  ", "<tool>", "b"]
KINDS = [3, 1, 3, 4, 4, 1]
ENTRIES = (
    entry("general.architecture", 8, text("llama")),
    number("llama.block_count", 2),
    number("llama.embedding_length", 64),
    number("llama.attention.head_count", 4),
    number("llama.attention.head_count_kv", 2),
    entry("tokenizer.ggml.tokens", 9, struct.pack("<IQ", 8, 6) + b"".join(text(token) for token in TOKENS)),
    entry("tokenizer.ggml.token_type", 9, struct.pack("<IQ6i", 5, 6, *KINDS)),
)


def write(folder: Path, content: bytes) -> Path:
    path = folder / "model.gguf"
    path.write_bytes(content)
    return path


def test_header_tells_control_tokens_and_the_size_of_the_cache(tmp_path: Path) -> None:
    facts = gguf_facts(write(tmp_path, header(*ENTRIES)))
    # Two layers, two heads of 16 numbers, for keys and for values, two bytes each.
    assert (facts.markers, facts.cache_bytes) == (("<s>", "<|end|>", "<tool>"), 2 * 2 * 16 * 2 * 2)


def test_layers_that_differ_are_added_up(tmp_path: Path) -> None:
    heads = entry("llama.attention.head_count_kv", 9, struct.pack("<IQ2I", 4, 2, 2, 1))
    facts = gguf_facts(write(tmp_path, header(*ENTRIES[:4], heads)))
    assert facts.cache_bytes == 3 * 16 * 2 * 2


@pytest.mark.parametrize("size", range(0, len(header(*ENTRIES)), 7))
def test_header_that_ends_early_is_refused(tmp_path: Path, size: int) -> None:
    with pytest.raises(ModelUnavailable, match=r"model\.gguf"):
        gguf_facts(write(tmp_path, header(*ENTRIES)[:size]))


@pytest.mark.parametrize(
    "content",
    [
        b"PK\x03\x04" + bytes(100),
        b"GGUF" + struct.pack("<IQQ", 9, 0, 0),
        header(count=1 << 60),
        header(entry("x", 9, struct.pack("<IQ", 8, 1 << 60))),
        header(entry("x", 9, struct.pack("<IQ", 9, 1))),
        header(entry("x", 77, b"")),
        header(entry("x", 8, struct.pack("<Q", 1 << 63))),
        header(number("general.architecture", 5)),
        header(*ENTRIES[:3], number("llama.attention.head_count", 0)),
    ],
)
def test_header_that_lies_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(ModelUnavailable):
        gguf_facts(write(tmp_path, content))


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("plain <b> text", "plain <b> text"),
        ("a<s>b", "a< s>b"),
        ("<|end|><|end|>", "< |end|>< |end|>"),
        ("<|en<|end|>d|>", "<|en< |end|>d|>"),
        ("half \ud800 pair", "half ? pair"),
    ],
)
def test_control_tokens_are_broken_up(given: str, wanted: str) -> None:
    assert Markers(["<s>", "<|end|>"]).break_up(given) == wanted


@pytest.mark.parametrize("given", ["<<<<", "<<<", "a<<<<<b"])
def test_markers_inside_each_other_leave_none(given: str) -> None:
    broken = Markers(["<<", "<<<"]).break_up(given)
    assert ("<<" in broken, broken.replace(" ", "")) == (False, given)


def test_vocabulary_without_control_tokens_changes_nothing() -> None:
    assert Markers([]).break_up("a<s>b") == "a<s>b"


NUMBERS = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}


@pytest.mark.parametrize(("given", "follows", "complete"), [('{"a": 1}', True, True), ('{"a": ', True, False)])
def test_text_of_the_schema_is_followed(given: str, follows: bool, complete: bool) -> None:
    watch = SchemaWatch(NUMBERS)
    assert (watch.follows(given), watch.complete()) == (follows, complete)


@pytest.mark.parametrize("given", ["1. A refund", '{"a": "x', '{"b": 1}', '{"a": 1} and so on'])
def test_text_that_leaves_the_schema_is_noticed(given: str) -> None:
    assert SchemaWatch(NUMBERS).follows(given) is False


def test_schema_nested_beyond_reading_is_refused() -> None:
    deep: dict[str, Any] = {"type": "string"}
    for _ in range(3000):
        deep = {"type": "array", "items": deep}
    with pytest.raises(SchemaError):
        SchemaWatch(deep)


def chunk(text: str, tokens: int, finish: str | None = None) -> tuple[dict[str, Any], dict[str, Any], None]:
    return {"index": 0, "text": text, "finish_reason": finish}, {"predicted_n": tokens}, None


def test_text_that_may_begin_a_stop_string_is_held_back() -> None:
    choice = Choice(0, ("END",), None)
    given = [choice.take(*chunk(part, place))[0] for place, part in enumerate(("a E", "N", "T", " E", "ND"), 1)]
    assert (given, choice.reason, choice.tokens) == (["a ", "", "ENT", " ", ""], "stop", 5)


def test_held_back_text_comes_with_the_end() -> None:
    choice = Choice(0, ("END",), None)
    assert [choice.take(*chunk("x EN", 2))[0], choice.take(*chunk("", 2, "length"))[0]] == ["x ", "EN"]
    assert choice.reason == "length"


def test_document_that_ends_too_early_is_broken() -> None:
    choice = Choice(0, (), SchemaWatch(NUMBERS))
    choice.take(*chunk('{"a":', 2))
    choice.take(*chunk("", 2, "stop"))
    assert choice.broken


def test_document_cut_by_max_tokens_is_not_broken() -> None:
    choice = Choice(0, (), SchemaWatch(NUMBERS))
    choice.take(*chunk('{"a":', 2))
    choice.take(*chunk("", 2, "length"))
    assert (choice.broken, choice.reason) == (False, "length")


def test_text_outside_the_schema_is_not_given_out() -> None:
    choice = Choice(0, (), SchemaWatch(NUMBERS))
    assert (choice.take(*chunk("Sure! ", 1))[0], choice.broken) == ("", True)
