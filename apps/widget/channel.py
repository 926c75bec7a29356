"""The kind of channel that the chat widget is."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

from apps.conversations.services import channel_declare
from apps.conversations.types import MAX_TEXT, ChannelKind, InboxInfo
from apps.core.errors import Invalid

# scheme://host[:port], nothing else: no path, no wildcard, no user part.
ORIGIN = re.compile(r"https?://[a-z0-9]([a-z0-9.-]{0,252}[a-z0-9])?(:[0-9]{1,5})?")
# What the column of before takes, which processes of the version before read.
MAX_ORIGIN = 200


class WidgetSettings(BaseModel):
    """Settings of an inbox of the kind "widget": which sites may show it, and how it looks and greets there."""

    model_config = ConfigDict(extra="forbid")

    allowed_origins: Annotated[list[str], Field(max_length=50)] = []
    accent: Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")] = "#2f5bea"
    greeting: Annotated[str, Field(max_length=300)] = ""
    suggested_questions: Annotated[list[Annotated[str, Field(min_length=1, max_length=120)]], Field(max_length=6)] = []

    @field_validator("allowed_origins")
    @classmethod
    def _exact(cls, origins: list[str]) -> list[str]:
        bad = [origin for origin in origins if not ORIGIN.fullmatch(origin) or len(origin) > MAX_ORIGIN]
        if bad:
            raise Invalid(
                "An origin looks like https://shop.example, in lower case.", code="origin_invalid", details=bad
            )
        return origins


KIND = ChannelKind(name="widget", settings=WidgetSettings, max_text=MAX_TEXT, public_token=True)
channel_declare(KIND)


def widget_settings(inbox: InboxInfo) -> WidgetSettings:
    """Return the settings of a widget's inbox; those that only a newer version knows are left out."""
    known = {name: value for name, value in inbox.settings.items() if name in WidgetSettings.model_fields}
    return WidgetSettings.model_validate(known)
