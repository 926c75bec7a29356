"""Text from token ids: whole characters only, and never past a stop string."""

from __future__ import annotations

import pytest

from apps.inference.engine.textstream import TextStream


def decode(ids: list[int]) -> str:
    """A vocabulary of single bytes: the hardest case for whole characters."""
    return bytes(ids).decode("utf-8", "replace")


def feed(stream: TextStream, text: str) -> list[str]:
    return [stream.push([byte]) for byte in text.encode()]


@pytest.mark.parametrize("text", ["plain", "naïve café", "你好，世界", "ship 🚢 and family 👨‍👩‍👧 end", "🏳️‍🌈"])
def test_pieces_join_to_the_text(text: str) -> None:
    stream = TextStream(decode)
    assert "".join([*feed(stream, text), stream.finish()]) == text


def test_no_piece_holds_half_a_character() -> None:
    stream = TextStream(decode)
    assert "�" not in "".join(feed(stream, "a🚢b你c"))


def test_a_character_that_never_completes_is_given_at_the_end() -> None:
    stream = TextStream(decode)
    feed(stream, "a")
    assert stream.push([0xF0, 0x9F]) == ""
    assert stream.finish() == "�"


def test_stop_string_is_cut_with_all_after_it() -> None:
    stream = TextStream(decode, ["END"])
    assert "".join(feed(stream, "one END two")) == "one "
    assert stream.stopped
    assert stream.finish() == ""


def test_beginning_of_a_stop_string_is_held_back() -> None:
    stream = TextStream(decode, ["</answer>"])
    assert "".join(feed(stream, "a </ans")) == "a "


def test_text_that_only_looked_like_a_stop_string_is_released() -> None:
    stream = TextStream(decode, ["</answer>"])
    assert "".join(feed(stream, "a </ansible> b")) == "a </ansible> b"


def test_held_text_is_given_at_the_end() -> None:
    stream = TextStream(decode, ["STOP"])
    feed(stream, "never ST")
    assert stream.finish() == "ST"


def test_earliest_of_several_stop_strings_wins() -> None:
    stream = TextStream(decode, ["two", "one"])
    assert stream.push(list(b"zero one two")) == "zero "
