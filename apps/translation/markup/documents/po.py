"""Message catalogues (PO): what has no translation yet gets one; what people have translated stays."""

from __future__ import annotations

from collections.abc import Sequence

import polib

from apps.translation.markup.documents.texts import text_of
from apps.translation.markup.documents.types import DocumentRefused, too_long
from apps.translation.markup.layout import MAX_SEGMENTS
from apps.translation.markup.marks import Parts, joined

# Of languages that count otherwise than English does; a header of the file itself comes first.
_PLURALS = {
    "pt": (2, "(n > 1)"),
    "fr": (2, "(n > 1)"),
    "ja": (1, "0"),
    "zh": (1, "0"),
    "ko": (1, "0"),
    "vi": (1, "0"),
    "tr": (2, "(n > 1)"),
}
_MAX_PLURALS = 6


class PoDocument:
    """A catalogue. Fuzzy messages are translated anew; obsolete ones stay as they are."""

    def __init__(self, data: bytes) -> None:
        # With a line break it cannot be the name of a file, which polib would open.
        text = text_of(data).replace("\r\n", "\n") + "\n"
        try:
            self._file = polib.pofile(text, encoding="utf-8")
        except (OSError, ValueError, IndexError, UnicodeError, AttributeError) as error:
            raise DocumentRefused("extract_failed", "The catalogue could not be read.") from error
        waiting = [entry for entry in self._file if not entry.obsolete and _waits(entry)]
        if len(waiting) * 2 > MAX_SEGMENTS:
            raise too_long()
        self._waiting = waiting
        self.segments: list[Parts] = [
            (text,) for entry in waiting for text in (entry.msgid, entry.msgid_plural) if text or text is entry.msgid
        ]

    def written(self, translated: Sequence[Parts], *, target: str) -> bytes:
        """Return the catalogue of the language `target`."""
        texts = iter(joined(parts) for parts in translated)
        count = self._plurals(target)
        for entry in self._waiting:
            first = next(texts)
            if entry.msgid_plural:
                entry.msgstr_plural = dict.fromkeys(range(count), next(texts)) | ({0: first} if count > 1 else {})
            else:
                entry.msgstr = first
            if "fuzzy" in entry.flags:
                entry.flags.remove("fuzzy")
                entry.previous_msgid = entry.previous_msgid_plural = entry.previous_msgctxt = None
        self._file.metadata["Language"] = target.replace("-", "_")
        self._file.metadata["Content-Type"] = "text/plain; charset=UTF-8"
        return (str(self._file).rstrip("\n") + "\n").encode("utf-8", "replace")

    def _plurals(self, target: str) -> int:
        """Return how many forms of a plural the catalogue has; where it does not say, it says so afterwards."""
        written = self._file.metadata.get("Plural-Forms", "")
        number = written.partition("nplurals=")[2].partition(";")[0].strip()
        if number.isdecimal() and 1 <= int(number) <= _MAX_PLURALS:
            return int(number)
        count, rule = _PLURALS.get(target.replace("_", "-").split("-")[0].lower(), (2, "(n != 1)"))
        self._file.metadata["Plural-Forms"] = f"nplurals={count}; plural={rule};"
        return count


def _waits(entry: polib.POEntry) -> bool:
    done = all(entry.msgstr_plural.values()) and bool(entry.msgstr_plural) if entry.msgid_plural else bool(entry.msgstr)
    return bool(entry.msgid.strip()) and ("fuzzy" in entry.flags or not done)
