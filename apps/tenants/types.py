"""Plain values that describe an organisation."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class OrganizationInfo:
    id: uuid.UUID
    name: str
    slug: str
    is_demo: bool


@dataclass(frozen=True, slots=True)
class SettingSpec:
    """One organisation setting: its default, what it does, and the test a value must pass."""

    default: Any
    effect: str
    valid: Callable[[Any], bool]


def _unit(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def _whole(least: int, most: int) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _phrases(value: Any) -> bool:
    return (
        isinstance(value, list) and len(value) <= 100 and all(isinstance(v, str) and 0 < len(v) <= 100 for v in value)
    )


def _shares(value: Any) -> bool:
    names = ("toxicity", "insult", "threat", "spam", "self_harm", "prompt_injection")
    return isinstance(value, dict) and all(name in names and _unit(share) for name, share in value.items())


SETTINGS: dict[str, SettingSpec] = {
    "answer_threshold": SettingSpec(
        None,
        "Least confidence at which the bot answers; empty takes the measured default.",
        lambda v: v is None or _unit(v),
    ),
    "handoff_phrases": SettingSpec(
        [], "Words in a visitor's message that hand the conversation to a person.", _phrases
    ),
    "handoff_after_abstentions": SettingSpec(2, "Abstentions in a row after which the bot hands over.", _whole(1, 10)),
    "max_active_replies": SettingSpec(8, "Bot replies that may be queued or running at once.", _whole(1, 256)),
    "requests_per_minute": SettingSpec(6000, "API requests a minute, over all keys.", _whole(1, 1_000_000)),
    "max_concurrent_calls": SettingSpec(
        128, "Calls of the model routes (/v1, /tei) that may run at once, over all keys.", _whole(1, 1024)
    ),
    "tokens_per_day": SettingSpec(
        100_000_000, "Tokens, read and written, that the model routes may use in a day (UTC).", _whole(1, 10**12)
    ),
    "batch_retention_days": SettingSpec(
        90, "Days after its end at which a batch is removed with its texts and results.", _whole(1, 3650)
    ),
    "moderation_thresholds": SettingSpec(
        {}, "Scores, by category, from which moderation flags a text; 0.5 where none is given.", _shares
    ),
}
