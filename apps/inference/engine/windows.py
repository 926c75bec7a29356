"""Long texts in small parts, so that no text holds a model for long, with what is found in them at its place.

What a tagger needs grows with the tokens of a text, and the text is what a stranger sends: 100,000 brackets are as many
tokens. A part has a bounded number of them, is read with a margin on both sides, and answers for what begins inside it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from apps.inference.engine.types import Span

# Of one part. 512 tokens take spaCy some 60 ms and Presidio some 120 ms; more customers' messages than 99 % are shorter.
PART_TOKENS = 512
PART_CHARS = 4_096
# What stands before and after a part is read with it: names take up to ten words, addresses and numbers fewer characters.
MARGIN_TOKENS = 24
MARGIN_CHARS = 256
# A run without a space is handed to a tokenizer in pieces of this length. spaCy's takes time by the square of a run of
# brackets or quotes: 12 ms for 256 of them, 15 s for 9,600. Longer than nearly every address of a page.
MAX_RUN_CHARS = 256

# What a tokenizer makes of a text, as far as one can know without it: a word, or one sign, is a token. A letter of a
# script without spaces is one too; a word that goes on for long counts once for each stretch.
_TOKEN = re.compile(
    r"[\u1100-\u11ff\u2e80-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\U00020000-\U0003ffff]|\d{1,8}|[^\W\d_]{1,16}"
    r"|\S|[^\S ]\s*|\s{2,}"
)
_RUN = re.compile(rf"\S{{{MAX_RUN_CHARS + 1},}}")
_SENTENCE_END = re.compile(r"\n|[.!?。！？…]\s")
# A token has four characters; sixteen times that leaves room for what normalising takes away.
_HEAD_CHARS = 64
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Window:
    """A part `begin` to `end` of a text, to be read from `read_begin` to `read_end`; `tokens` is an estimate."""

    begin: int
    end: int
    read_begin: int
    read_end: int
    tokens: int


def tokens_estimate(text: str) -> int:
    """Return about how many tokens a tagger makes of `text`; never far below."""
    return sum(1 for _ in _TOKEN.finditer(text))


def windows_of(text: str, part_tokens: int = PART_TOKENS) -> list[Window]:
    """Return the parts of `text`, in order and without gaps: one for a text of at most `part_tokens` and PART_CHARS.

    They end where a sentence or a line does when one ends in their second half, else between words, else anywhere.
    """
    begins = [match.start() for match in _TOKEN.finditer(text)]
    if len(begins) <= part_tokens and len(text) <= PART_CHARS:
        return [Window(0, len(text), 0, len(text), len(begins))]
    windows, at, token = [], 0, 0
    while at < len(text):
        most = begins[token + part_tokens] if token + part_tokens < len(begins) else len(text)
        end = _end(text, at, min(most, at + PART_CHARS))
        following = token
        while following < len(begins) and begins[following] < end:
            following += 1
        first, last = max(0, token - MARGIN_TOKENS), min(len(begins), following + MARGIN_TOKENS)
        read_begin = max(at - MARGIN_CHARS, begins[first] if first < token else at)
        read_end = min(end + MARGIN_CHARS, begins[last] if last < len(begins) else len(text))
        windows.append(Window(at, end, max(0, read_begin), max(end, read_end), last - first))
        at, token = end, following
    return windows


def spans_joined(
    text: str, windows: Sequence[Window], found: Sequence[Sequence[Span]], *, cover: bool = False
) -> tuple[Span, ...]:
    """Return the spans of the whole text: of each window those that begin in it, none of which overlap.

    Of two that overlap at the edge of a window the first stays; with `cover` it is made to reach over both.
    """
    kept: list[Span] = []
    for window, spans in zip(windows, found, strict=True):
        for span in spans:
            begin, end = span.start + window.read_begin, span.end + window.read_begin
            if not window.begin <= begin < window.end:
                continue
            last = kept[-1] if kept else None
            if last is None or last.end <= begin:
                kept.append(Span(begin, end, span.label, span.score, text[begin:end]))
            elif cover and end > last.end:
                kept[-1] = Span(last.start, end, last.label, last.score, text[last.start : end])
    return tuple(kept)


def pieces_of(text: str) -> list[str] | None:
    """Return `text` cut so that no piece has a run without spaces of more than MAX_RUN_CHARS; None where none has one."""
    cuts: list[int] = []
    for match in _RUN.finditer(text):
        cuts += range(match.start() + MAX_RUN_CHARS, match.end(), MAX_RUN_CHARS)
    if not cuts:
        return None
    return [text[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]


def head_of(text: str, max_tokens: int) -> str:
    """Return as much of a text as a model that reads `max_tokens` can need: no tokenizer sees more."""
    return text[: max_tokens * _HEAD_CHARS]


def is_longer(text: str, max_tokens: int) -> bool:
    """Return whether `head_of` cuts the text."""
    return len(text) > max_tokens * _HEAD_CHARS


def _end(text: str, begin: int, most: int) -> int:
    """Return where a part ends that begins at `begin` and may go up to `most`."""
    if most >= len(text):
        return len(text)
    half = begin + (most - begin) // 2
    last = _last(_SENTENCE_END.finditer(text, half, most))
    if last is not None:
        return last.end()
    space = max((text.rfind(blank, half, most) for blank in " \t\r\n\u3000"), default=-1)
    return space + 1 if space >= 0 else most


def _last(matches: Iterator[T]) -> T | None:
    found = None
    for found in matches:  # noqa: B007  (the last one is wanted)
        pass
    return found
