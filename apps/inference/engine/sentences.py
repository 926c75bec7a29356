"""Cuts running text into sentences, for models that translate one at a time."""

from __future__ import annotations

import re

# An end mark with what closes after it. A mark of Chinese or Japanese ends a sentence without a space.
# Runs are bounded, and tried only where they begin: a line of a million dots takes no longer than any other.
_END = re.compile(r"""(?<![.!?…])[.!?…]{1,16}["'”’»)\]]{0,4}(?=\s)|[。！？]{1,16}[”’」』）]{0,4}|\n""")
_ABBREVIATIONS = frozenset(
    (
        *(
            [
                "mr",
                "mrs",
                "ms",
                "dr",
                "prof",
                "st",
                "jr",
                "sr",
                "vs",
                "etc",
                "eg",
                "ie",
                "cf",
                "no",
                "nr",
                "fig",
                "vol",
                "approx",
                "inc",
                "ltd",
                "co",
                "corp",
                "dept",
                "est",
                "gen",
                "col",
                "rev",
                "hon",
            ]
        ),
        *(
            [
                "sra",
                "srta",
                "dra",
                "ex",
                "av",
                "pág",
                "págs",
                "núm",
                "tel",
                "art",
                "cap",
                "ed",
                "obs",
                "exmo",
                "exma",
                "ltda",
                "cia",
                "p.ex",
                "e.g",
                "i.e",
                "u.s",
                "a.m",
                "p.m",
                "ph.d",
            ]
        ),
    )
)
_WORD = re.compile(r"[^\s(\[\"'“‘«]+$")


def sentences_split(text: str) -> list[tuple[str, str]]:
    """Return (sentence, white space after it) pairs, whose concatenation is `text`.

    The first sentence is empty where the text begins with white space. Lines end sentences; abbreviations, initials and
    numbers do not.
    """
    pairs: list[tuple[str, str]] = []
    begin = 0
    for match in _END.finditer(text):
        if match.start() < begin or _goes_on(text, begin, match):
            continue
        blank = match.group().isspace()
        end = match.start() if blank else match.end()
        follow = _skip_space(text, end)
        pairs.append((text[begin:end], text[end:follow]))
        begin = follow
    if begin < len(text):
        end = begin + len(text[begin:].rstrip())
        pairs.append((text[begin:end], text[end:]))
    return _leading(pairs)


def _leading(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Move white space at the very beginning into a pair of its own."""
    if pairs and pairs[0][0] and pairs[0][0][0].isspace():
        first, after = pairs[0]
        bare = first.lstrip()
        return [("", first[: len(first) - len(bare)]), (bare, after), *pairs[1:]]
    return pairs


def _goes_on(text: str, begin: int, match: re.Match[str]) -> bool:
    """Return whether the mark does not end the sentence: an abbreviation, an initial, or small letters after a dot."""
    mark = match.group()
    if not mark.startswith(".") or mark.startswith(".."):
        return False
    follow = _skip_space(text, match.end())
    if "\n" in text[match.end() : follow]:
        return False
    word = _WORD.search(text, max(begin, match.start() - 20), match.start())
    last = word.group() if word else ""
    if mark == "." and (last.lower() in _ABBREVIATIONS or (len(last) == 1 and last.isupper())):
        return True
    return follow < len(text) and text[follow].islower()


def _skip_space(text: str, place: int) -> int:
    while place < len(text) and text[place].isspace():
        place += 1
    return place
