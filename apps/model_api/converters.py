"""A part of an address whatever it holds: Django's own `path` ends at a line break, and its page of HTML answers."""

from __future__ import annotations

from django.urls import register_converter


class AnythingConverter:
    regex = "(?s:.+)"

    def to_python(self, value: str) -> str:
        """Return it as it came."""
        return value

    def to_url(self, value: str) -> str:
        """Return it as it came."""
        return value


register_converter(AnythingConverter, "anything")
