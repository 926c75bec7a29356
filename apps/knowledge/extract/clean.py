"""Text normalisation: what must never reach the index, and white space."""

from __future__ import annotations

import re
import unicodedata

# Control characters, soft hyphen, zero-width space and word joiner, directional overrides and isolates, interlinear and
# tag characters, byte order marks, lone surrogates. ZWJ and ZWNJ stay: several scripts and emoji need them.
_UNWANTED = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff"
    "\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)
_SPACES = re.compile(r"[^\S\n]+")
_AROUND_BREAK = re.compile(r" ?\n[ \n]*")


def clean_line(text: str) -> str:
    """Return `text` without unwanted characters, runs of white space collapsed, forced line breaks kept."""
    text = _UNWANTED.sub("", unicodedata.normalize("NFC", text).replace("\r", "\n"))
    return _AROUND_BREAK.sub("\n", _SPACES.sub(" ", text)).strip()


def clean_code(text: str) -> str:
    """Return preformatted `text` without unwanted characters and outer blank lines; indentation is kept."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").expandtabs(4)
    lines = [line.rstrip() for line in _UNWANTED.sub("", unicodedata.normalize("NFC", text)).split("\n")]
    return "\n".join(lines).strip("\n")


def slugify(text: str, used: dict[str, int]) -> str:
    """Return the fragment GitHub gives a heading: lower case, punctuation removed, spaces to hyphens, `-1` if taken.

    `used` counts the slugs given so far in this document and is updated.
    """
    kept = [c for c in text.strip().lower() if c in " -_" or unicodedata.category(c)[0] in "LMN"]
    slug = "".join(kept).replace(" ", "-")
    count = used.get(slug, 0)
    used[slug] = count + 1
    if not count:
        return slug
    unique = f"{slug}-{count}"
    used.setdefault(unique, 1)
    return unique
