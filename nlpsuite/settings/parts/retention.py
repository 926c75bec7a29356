"""Days after which rows that grow with use are removed. The audit trail is kept for good."""

from __future__ import annotations

from nlpsuite.settings import env


def _days(name: str, default: int) -> int:
    days = env.env_int(name, default)
    if days < 1:
        raise ValueError(f"{name} must be at least 1 day, not {days}")
    return days


# More than a year: reports may compare a month with the one of a year before.
RETENTION_EVENTS_DAYS = _days("RETENTION_EVENTS_DAYS", 400)
# Dead deliveries, and those that no version came for; who operates the installation has a month to look at them.
RETENTION_DELIVERIES_DAYS = _days("RETENTION_DELIVERIES_DAYS", 30)
# Jobs that have ended.
RETENTION_JOBS_DAYS = _days("RETENTION_JOBS_DAYS", 30)
# Why the bot said something: a copy of the question and of passages.
RETENTION_WHY_DAYS = _days("RETENTION_WHY_DAYS", 90)
