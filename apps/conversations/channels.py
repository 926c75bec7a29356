"""The kinds of channels: each app that brings messages in declares its own, and validates the settings of its inboxes.

Nothing here knows a kind by name. An inbox whose kind no app of this version declares can be read and answered; it is not
made, and its settings are not changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from apps.conversations.types import MAX_BODY, MAX_TEXT, ChannelKind
from apps.core.errors import Invalid

_kinds: dict[str, ChannelKind] = {}


def channel_declare(kind: ChannelKind) -> None:
    """Say that inboxes may be of this kind. Raises ValueError for a name that is taken, or a bound above `MAX_BODY`."""
    if kind.name in _kinds:
        raise ValueError(f"{kind.name} is a kind of channel already")
    if kind.max_text > MAX_BODY:
        raise ValueError(f"no message has more than {MAX_BODY} characters")
    _kinds[kind.name] = kind


def channel_kind(name: str) -> ChannelKind:
    """Return a declared kind. Raises Invalid "channel_unknown"."""
    if name not in _kinds:
        raise Invalid("There is no such kind of channel.", code="channel_unknown", details={"channels": sorted(_kinds)})
    return _kinds[name]


def channel_max_text(name: str) -> int:
    """Return how many characters a message of a channel has at most; as a widget's of a kind that is not declared."""
    return _kinds[name].max_text if name in _kinds else MAX_TEXT


def settings_merge(kind: ChannelKind, stored: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings to store: those that are there, changed and validated. Those of a newer version stay.

    Raises Invalid "settings_invalid" with the place and the reason of each fault.
    """
    known = {name: value for name, value in stored.items() if name in kind.settings.model_fields}
    try:
        checked = kind.settings.model_validate({**known, **changes}).model_dump(mode="json")
    except ValidationError as error:
        faults = [
            {"loc": [str(part) for part in fault["loc"]], "msg": fault["msg"]}
            for fault in error.errors(include_url=False, include_context=False, include_input=False)
        ]
        raise Invalid(
            "The settings do not fit the kind of channel.", code="settings_invalid", details=faults[:20]
        ) from None
    return {**stored, **checked}
