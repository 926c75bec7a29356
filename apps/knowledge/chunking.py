"""Cutting a document into passages along its structure. Pure: no Django, no model.

A passage is a run of sentences under one heading, about 120 words, never across a heading. What is embedded is the
title, the heading path and the text, kept under the 256 word pieces at which the default encoder cuts.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from apps.knowledge.extract.types import Block, Extracted

PATH_SEPARATOR = " › "


@dataclass(frozen=True, slots=True)
class ChunkRules:
    """Sizes of passages.

    `target_words`: a section longer than `max_words` is cut into equal windows of about this size. A CJK character
    counts as 0.75 word. A last window under `scrap_words` joins the one before.
    `max_pieces` bounds the estimated word pieces of the embedded text; of them at most
    `max_context_pieces` go to title and headings.
    """

    target_words: int = 120
    max_words: int = 150
    scrap_words: int = 20
    max_pieces: int = 235
    max_context_pieces: int = 70


DEFAULT_RULES = ChunkRules()


@dataclass(frozen=True, slots=True)
class ChunkDraft:
    """A passage before it is stored.

    `text` is what a reader sees; `heading` the path "A › B" of headings above it, the document's title left out when it
    is the first of them; `anchor` the fragment of its first block; `embed_text` what the encoder gets, which is
    `context`, title and headings, above the text.
    """

    text: str
    heading: str
    anchor: str
    embed_text: str

    @property
    def context(self) -> str:
        """What of `embed_text` is not the text."""
        return self.embed_text.removesuffix(self.text.strip()).rstrip("\n")


@dataclass(frozen=True, slots=True)
class _Piece:
    """A sentence, list item, table row or code line that is not cut further. `glue` joins it to the piece before."""

    text: str
    glue: str
    anchor: str
    words: float
    tokens: int


def chunk_document(extracted: Extracted, rules: ChunkRules = DEFAULT_RULES) -> list[ChunkDraft]:
    """Return the passages of `extracted` in reading order; a document of headings only gives one passage of them."""
    drafts: list[ChunkDraft] = []
    path: list[tuple[int, str]] = []
    for is_heading, run in groupby(extracted.blocks, key=lambda block: block.kind == "heading"):
        if is_heading:
            for block in run:
                path = [*(pair for pair in path if pair[0] < block.level), (block.level, block.text)]
            continue
        headings = [text for _, text in path]
        context = _context(extracted.title, headings, rules)
        budget = rules.max_pieces - estimate_pieces(context)
        pieces = [piece for block in run for piece in _pieces(block, rules, budget)]
        shown = PATH_SEPARATOR.join(headings[1:] if headings[:1] == [extracted.title] else headings)
        for window in _windows(pieces, rules, budget):
            text = _join(window)
            drafts.append(ChunkDraft(text, shown or extracted.title, window[0].anchor, f"{context}\n{text}".strip()))
    if not drafts and extracted.blocks:
        text = "\n".join(block.text for block in extracted.blocks)[:2000]
        drafts.append(ChunkDraft(text, extracted.title, extracted.blocks[0].anchor, text))
    return drafts


def context_of(title: str, heading: str, rules: ChunkRules = DEFAULT_RULES) -> str:
    """Return the context of a passage from its document's title and its own `heading`."""
    return _context(title, heading.split(PATH_SEPARATOR) if heading and heading != title else [], rules)


def _context(title: str, headings: list[str], rules: ChunkRules) -> str:
    """Title and heading path; when too long, headings in the middle go first: the nearest one says the most."""
    parts = headings if headings[:1] == [title] else [*filter(None, [title]), *headings]
    while len(parts) > 2 and estimate_pieces(PATH_SEPARATOR.join(parts)) > rules.max_context_pieces:
        parts = [parts[0], *parts[2:]]
    while len(parts) > 1 and estimate_pieces(PATH_SEPARATOR.join(parts)) > rules.max_context_pieces:
        parts = parts[1:]
    text = PATH_SEPARATOR.join(parts)
    while estimate_pieces(text) > rules.max_context_pieces:
        text = text[: len(text) * 3 // 4]
    return text


def _windows(pieces: list[_Piece], rules: ChunkRules, budget: int) -> list[list[_Piece]]:
    """Cut a section into windows of nearly equal size; a scrap left at the end joins the window before it."""
    total = sum(piece.words for piece in pieces)
    count = (
        1
        if total <= rules.max_words
        else max(round(total / rules.target_words), math.ceil(total / (0.9 * rules.max_words)))
    )
    count = max(count, math.ceil(sum(piece.tokens for piece in pieces) / budget))
    goal = total / count
    windows: list[list[_Piece]] = [[]]
    words, tokens = 0.0, 0
    for piece in pieces:
        full = words + piece.words / 2 > goal or words + piece.words > rules.max_words
        if windows[-1] and (tokens + piece.tokens > budget or (count > 1 and full)):
            windows.append([])
            words, tokens = 0.0, 0
        windows[-1].append(piece)
        words += piece.words
        tokens += piece.tokens
    scrap = len(windows) > 1 and words < rules.scrap_words
    if scrap and sum(piece.tokens for piece in [*windows[-2], *windows[-1]]) <= budget:
        windows[-2].extend(windows.pop())
    return windows


def _join(window: list[_Piece]) -> str:
    first, *rest = window
    return first.text + "".join(piece.glue + piece.text for piece in rest)


def _pieces(block: Block, rules: ChunkRules, budget: int) -> Iterator[_Piece]:
    if block.kind == "code":
        parts = [(line, "\n") for line in block.text.split("\n")]
    elif block.kind == "row":
        parts = [(block.text, "\n")]
    else:
        parts = [(sentence, " ") for sentence in sentences(block.text)]
        if block.kind == "item" and parts:
            parts[0] = ("  " * (min(block.level, 4) - 1) + "- " + parts[0][0], "\n")
    opening = True
    for text, glue in parts:
        for cut in _fit(text, rules, budget):
            yield _Piece(cut, "\n" if opening else glue, block.anchor, count_words(cut), estimate_pieces(cut))
            opening = False


_SLICE_CHARS = 2000
"""A window's text is never longer, so that a document of one endless word costs linear time."""


def _fit(text: str, rules: ChunkRules, budget: int) -> Iterator[str]:
    """Cut a piece that is longer than a window at a space, or anywhere when it has none."""
    if len(text) <= _SLICE_CHARS and estimate_pieces(text) <= budget and count_words(text) <= rules.max_words:
        yield text
        return
    start = 0
    while start < len(text):
        end = min(len(text), start + _SLICE_CHARS)
        while estimate_pieces(text[start:end]) > budget or count_words(text[start:end]) > rules.max_words:
            end = start + (end - start) * 3 // 4
        if end < len(text):
            space = text.rfind(" ", start + (end - start) // 2, end)
            end = space + 1 if space > 0 else end
        yield text[start:end].strip()
        start = end


_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff]")
_WORD = re.compile(r"[^\W_]+")
_SIGN = re.compile(r"[^\w\s]|_")


def count_words(text: str) -> float:
    """Return the length of `text` in words; a CJK character counts as 0.75."""
    cjk = len(_CJK.findall(text))
    if not cjk:
        return float(len(text.split()))
    return cjk * 0.75 + len(_CJK.sub(" ", text).split())


def estimate_pieces(text: str) -> int:
    """Return an upper estimate of the word pieces the default encoder's tokenizer makes of `text`.

    A sign and a CJK character are one piece each; a word one piece, and one more for every three characters past six;
    of digits and other scripts one for every two characters. Measured in tests/knowledge/test_chunking.py.
    """
    pieces = len(_SIGN.findall(text)) + len(_CJK.findall(text))
    for word in _WORD.findall(_CJK.sub(" ", text)):
        if word.isascii() and word.isalpha() and not word.isupper():
            pieces += 1 + max(0, len(word) - 4) // 3
        else:
            pieces += (len(word) + 1) // 2
    return pieces


# A full stop, closing quotes or brackets, space, and a start that is not lower case; CJK stops need no space.
_STOP = re.compile(r"[.!?…]['\"”’)\]]{0,3}\s+(?=[^\sa-z])|[。！？；][”’」』）]{0,3}|\n")
_ABBREVIATION = re.compile(
    r"(?:\b(?:e\.g|i\.e|etc|vs|cf|al|Mr|Mrs|Ms|Dr|Prof|St|No|Nos|Fig|Vol|pp?|approx|incl|Inc|Ltd|Co|Jan|Feb|Aug|Sept?|Oct|Nov"
    r"|Dec)|\b[A-Z]|^\d{1,3})\.$"
)


def sentences(text: str) -> list[str]:
    """Return the sentences of one paragraph, in order and without outer white space.

    Abbreviations, initials and a leading "3." do not end a sentence; a forced line break does.
    """
    found: list[str] = []
    start = 0
    for stop in _STOP.finditer(text):
        sentence = text[start : stop.end()].strip()
        if _ABBREVIATION.search(sentence[-12:]) and stop[0] != "\n":
            continue
        if sentence:
            found.append(sentence)
        start = stop.end()
    if rest := text[start:].strip():
        found.append(rest)
    return found
