"""Text on its way into and out of llama.cpp: control tokens broken up, stop strings cut, probabilities in our form."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from apps.inference.engine.backends.llama_schema import SchemaWatch
from apps.inference.engine.textstream import TextStream

_PASSES = 8


def whole_characters(text: str) -> str:
    """Return `text` with halves of surrogate pairs replaced: llama.cpp takes UTF-8, which has no way to write them."""
    return text.encode("utf-8", "replace").decode()


class Markers:
    """The texts of a model's control tokens: llama.cpp reads them as such wherever they stand."""

    def __init__(self, markers: Sequence[str]) -> None:
        longest_first = sorted(markers, key=len, reverse=True)
        self._pattern = re.compile("|".join(re.escape(marker) for marker in longest_first) or r"(?!)")

    def break_up(self, text: str) -> str:
        """Put a blank into each control token: text from outside must not open a turn of its own."""
        text = whole_characters(text)
        # Markers can overlap, so what is left of one may be another.
        for _ in range(_PASSES):
            broken = self._pattern.sub(lambda found: f"{found[0][0]} {found[0][1:]}", text)
            if broken == text:
                break
            text = broken
        return text


class Choice:
    """One of a request's answers, as far as it is written. `reason` is set when it has ended."""

    def __init__(self, index: int, stop: Sequence[str], watch: SchemaWatch | None) -> None:
        self.index, self.tokens, self.reason, self.broken = index, 0, "", False
        self._watch = watch
        self._parts: list[str] = []
        # llama.cpp decodes by itself and holds back half characters: the stream's "ids" are places in `_parts`.
        self._text = TextStream(lambda places: "".join(self._parts[place] for place in places), stop)

    def take(
        self, part: dict[str, Any], timings: dict[str, Any], logprobs: int | None
    ) -> tuple[str, list[list[Any]] | None]:
        """Take one part of the stream; return the text that became certain, and the log-probabilities of its tokens.

        Sets `broken` when the text leaves the schema. A character that spans tokens has the probability of its last.
        """
        self.tokens = max(self.tokens, int(timings.get("predicted_n") or 0))
        text = part.get("text") or ""
        released = ""
        if text:
            if self._watch is not None and not self._watch.follows(text):
                self.broken = True
                return "", None
            self._parts.append(text)
            released = self._text.push([len(self._parts) - 1])
        if self._text.stopped:
            self.reason = "stop"
        elif part.get("finish_reason"):
            released += self.finish(part["finish_reason"])
        if logprobs is None or not (part.get("logprobs") or {}).get("content"):
            return released, None
        return released, [_logprob(entry, logprobs) for entry in part["logprobs"]["content"]]

    def finish(self, reason: str) -> str:
        """End the answer; return the text that was held back."""
        rest = self._text.finish()
        self.reason = "length" if reason == "length" and not self._text.stopped else "stop"
        if self._watch is not None and self.reason == "stop" and not self._watch.complete():
            self.broken = True
        return rest


def _logprob(entry: dict[str, Any], top: int) -> list[Any]:
    others = [[one["token"], one["logprob"]] for one in entry.get("top_logprobs", ())[:top]]
    return [entry["token"], entry["logprob"], others]
