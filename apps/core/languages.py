"""Which languages pages are offered in, and the message catalogues that scripts read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from django.conf import settings
from django.utils.functional import Promise


def offered_languages() -> Sequence[tuple[str, str]]:
    """Return (code, English name) of each language in settings.LANGUAGES."""
    return [(str(code), str(name)) for code, name in settings.LANGUAGES]


def catalogue_render(messages: Mapping[str, str | Promise]) -> dict[str, str]:
    """Return `messages` in the active language, ready for `json_script`."""
    return {key: str(text) for key, text in messages.items()}
