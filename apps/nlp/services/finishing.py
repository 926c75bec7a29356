"""What is done to a draft before anybody reads it: what the model left open goes, and the length is kept."""

from __future__ import annotations

import re
from collections.abc import Sequence

from apps.inference.services import sentences_split

SENTENCES_OF_SHORT = 2
# "[Your Name]": what somebody would have to fill in.
_BLANK = re.compile(r"\[[^\]\n]{1,60}\]")
_END = re.compile(r"[.!?…。！？][\"'”’»)\]]*$")
# A line without an end mark that is shorter is a greeting, a title, a name or a tag, no sentence that was cut off.
_LINE_WORDS = 4


def draft_finish(draft: str, *, brief: str, length: str) -> str:
    """Return the draft without lines that wait to be filled in and without a last sentence that was cut off.

    Of a short draft two sentences are left; the paragraphs of a medium one become one. A draft of which nothing would be
    left is returned as it is.
    """
    pieces = [
        piece for piece in sentences_split(draft.strip()) if set(_BLANK.findall(piece[0])) <= set(_BLANK.findall(brief))
    ]
    while pieces and _is_open(pieces[-1][0]):
        pieces.pop()
    if length == "short":
        pieces = _first_sentences(pieces, SENTENCES_OF_SHORT)
    elif length == "medium":
        pieces = _one_paragraph(pieces)
    return "".join(text + space for text, space in pieces).strip() or draft.strip()


def _is_open(text: str) -> bool:
    """Return whether a last line leaves something open: a cut sentence, or a greeting whose name was taken out."""
    return not _END.search(text) and (text.endswith((",", ":")) or len(text.split()) > _LINE_WORDS)


def _first_sentences(pieces: Sequence[tuple[str, str]], count: int) -> list[tuple[str, str]]:
    ends = [index for index, (text, _) in enumerate(pieces) if _END.search(text)]
    return list(pieces if len(ends) <= count else pieces[: ends[count - 1] + 1])


def _one_paragraph(pieces: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the pieces with one space between two sentences; greetings and titles keep their lines."""
    ended = [bool(_END.search(text)) for text, _ in pieces] + [False]
    return [
        (text, " " if ended[index] and ended[index + 1] and space else space)
        for index, (text, space) in enumerate(pieces)
    ]
