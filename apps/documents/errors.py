"""Why a file is not read."""

from __future__ import annotations


class ExtractError(Exception):
    """A file was refused or could not be read.

    `code` is one of unsupported_type, too_large, bomb_refused, encrypted, extract_failed, extract_timeout.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
