"""Who is at work: said by a member's socket, told to the sockets of the organisation's staff, stored nowhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apps.accounts.types import PresenceInfo, PresenceStatus, Principal
from apps.core.errors import Invalid
from apps.core.ids import parse_id
from apps.events.services import hint_send_async, queue_group


async def presence_tell(principal: Principal, status: object) -> None:
    """Tell those who watch the organisation's queue that a member, or a program, is online or away.

    Errors:  Invalid "presence_invalid". Effects: a hint, which may be lost.
    """
    if not isinstance(status, str) or status not in {one.value for one in PresenceStatus}:
        raise Invalid("status is online or away.", code="presence_invalid")
    hint = {"presence": status, "user_id": str(principal.id), "name": principal.name}
    await hint_send_async(queue_group(principal.tenant_id), hint)


def presence_told(hint: Mapping[str, Any]) -> PresenceInfo | None:
    """Return what a hint tells of a colleague, None where it is about something else."""
    user_id = parse_id(hint.get("user_id"))
    if "presence" not in hint or user_id is None:
        return None
    return PresenceInfo(user_id, PresenceStatus(hint["presence"]))
