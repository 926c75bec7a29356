"""Turns a growing list of token ids into text that is safe to show: whole code points, cut before a stop string."""

from __future__ import annotations

from collections.abc import Callable, Sequence


class TextStream:
    """Incremental detokeniser with stop strings.

    Re-decodes a short window each time, since one character may span tokens and a token's text may depend on its left
    neighbour. Text that may be the beginning of a stop string is held back until that is decided.
    """

    def __init__(self, decode: Callable[[list[int]], str], stop: Sequence[str] = ()) -> None:
        self._decode = decode
        self._stop = tuple(text for text in stop if text)
        self._ids: list[int] = []
        self._window_start = 0
        self._window_read = 0
        self._held = ""
        self.stopped = False

    def push(self, ids: Sequence[int]) -> str:
        """Add token ids; return the text that became certain (may be empty). Sets `stopped` at a stop string."""
        if self.stopped:
            return ""
        self._ids.extend(ids)
        before = self._decode(self._ids[self._window_start : self._window_read])
        after = self._decode(self._ids[self._window_start :])
        # U+FFFD at the end: the bytes of a character are still coming.
        if len(after) <= len(before) or after.endswith("�"):
            return ""
        self._window_start, self._window_read = self._window_read, len(self._ids)
        return self._release(after[len(before) :])

    def finish(self) -> str:
        """Return what was held back, at the end of the generation."""
        if self.stopped:
            return ""
        before = self._decode(self._ids[self._window_start : self._window_read])
        after = self._decode(self._ids[self._window_start :])
        rest = self._release(after[len(before) :])
        held, self._held = ("" if self.stopped else self._held), ""
        return rest + held

    def _release(self, text: str) -> str:
        text = self._held + text
        cuts = [position for position in (text.find(stop) for stop in self._stop) if position >= 0]
        if cuts:
            self.stopped, self._held = True, ""
            return text[: min(cuts)]
        keep = max((_overlap(text, stop) for stop in self._stop), default=0)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]


def _overlap(text: str, stop: str) -> int:
    """Return the length of the longest end of `text` that begins `stop`."""
    for size in range(min(len(stop) - 1, len(text)), 0, -1):
        if text.endswith(stop[:size]):
            return size
    return 0
