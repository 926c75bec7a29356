"""What extraction gives: a title and a flat list of blocks, each with the anchor that leads to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

BlockKind = Literal["heading", "text", "item", "code", "row"]

MAX_TEXT_CHARS = 20_000_000
"""Extracted characters of one document; more is refused as `too_large`."""

MAX_BLOCKS = 400_000


@dataclass(frozen=True, slots=True)
class Block:
    """One piece of a document in reading order.

    `level` is 1 to 6 for a heading and the depth (1 = outermost) for a list item, otherwise 0. `anchor` is the fragment
    that leads to the block, "" when the document has none. Text has no control characters; only code keeps line breaks
    and indentation, other kinds may hold "\\n" where the author forced a line break.
    """

    kind: BlockKind
    text: str
    level: int = 0
    anchor: str = ""


@dataclass(frozen=True, slots=True)
class Extracted:
    """A document as text.

    `format` is one of html, markdown, text, pdf, docx. `flags` says what was found and left out, e.g. "hidden_text".
    """

    title: str
    blocks: tuple[Block, ...]
    format: str = "text"
    flags: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-serialisable form that `from_json` reads back."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Extracted:
        """Read what `to_json` wrote."""
        return cls(
            title=data["title"],
            blocks=tuple(Block(**block) for block in data["blocks"]),
            format=data["format"],
            flags=tuple(data["flags"]),
        )
