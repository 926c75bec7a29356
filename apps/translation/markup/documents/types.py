"""What documents have in common."""

from __future__ import annotations

# Characters of all texts of one document.
MAX_TEXT_CHARS = 2_000_000


class DocumentRefused(Exception):
    """A file that cannot be translated. `code`: unsupported_type, bomb_refused, encrypted, too_large, extract_failed."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


def too_long() -> DocumentRefused:
    """Return the refusal of a document with too much text."""
    return DocumentRefused(
        "too_large", f"A document has at most {MAX_TEXT_CHARS} characters and 50,000 pieces of text."
    )
