"""Where the sentences of a text are."""

from __future__ import annotations

from apps.inference.services import sentences_split


def sentences_of(text: str) -> list[tuple[int, int]]:
    """Return start and end of each sentence that holds a letter or digit, in code points."""
    spans, at = [], 0
    for sentence, space in sentences_split(text):
        end = at + len(sentence)
        if any(character.isalnum() for character in sentence):
            spans.append((at, end))
        at = end + len(space)
    return spans
