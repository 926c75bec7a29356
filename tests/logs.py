"""F6t over the whole run: no secret that a test makes stands in what the product logs."""

from __future__ import annotations

import logging
import re

import structlog

# Keys of the API as they are made, and the passwords that tests choose for people.
SECRETS = re.compile(r"nls_[A-Za-z0-9_-]{43}|a long password|my own long one")


class SecretsWatch(logging.Handler):
    """Keeps the lines, of INFO and above and as the product's own handler writes them, that hold a secret."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.found: list[str] = []
        self.setFormatter(
            next(
                one.formatter
                for one in logging.getLogger().handlers
                if isinstance(one.formatter, structlog.stdlib.ProcessorFormatter)
            )
        )

    def emit(self, record: logging.LogRecord) -> None:
        line = self.format(record)
        if SECRETS.search(line):
            self.found.append(f"{record.name}: {SECRETS.sub('***', line)}")
