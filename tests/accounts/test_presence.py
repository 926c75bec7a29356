"""Who is at work: what a member says reaches those who watch the same organisation's queue, and nothing else is taken."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest
from channels.layers import get_channel_layer

from apps.accounts.services import presence_tell, presence_told
from apps.accounts.types import PresenceInfo, PresenceStatus, Principal
from apps.core.errors import Invalid
from apps.events.services import queue_group
from tests.inbox.sessions import session_open
from tests.sockets import staff

pytestmark = pytest.mark.django_db(transaction=True)


async def _watch(tenant_id: Any) -> str:
    layer = get_channel_layer()
    channel = await layer.new_channel()
    await layer.group_add(queue_group(tenant_id), channel)
    return channel


def _member(tenant: Any) -> Principal:
    return Principal(tenant_id=tenant.id, kind="user", id=uuid.uuid4(), name="Ada", role="agent", scopes=frozenset())


@pytest.mark.parametrize("status", ["online", "away"])
async def test_what_a_member_says_reaches_the_queue(tenant: Any, status: str) -> None:
    channel, member = await _watch(tenant.id), _member(tenant)
    await presence_tell(member, status)
    hint = await asyncio.wait_for(get_channel_layer().receive(channel), 20)
    assert presence_told(hint) == PresenceInfo(member.id, PresenceStatus(status))


async def test_another_organisation_hears_nothing_of_it(tenant: Any, other_tenant: Any) -> None:
    channel, member, stranger = await _watch(tenant.id), _member(tenant), _member(other_tenant)
    await presence_tell(stranger, "online")
    await presence_tell(member, "away")
    first = presence_told(await asyncio.wait_for(get_channel_layer().receive(channel), 20))
    assert first == PresenceInfo(member.id, PresenceStatus.AWAY)


@pytest.mark.parametrize("status", ["busy", "", None, 1, ["online"], {"status": "online"}, "ONLINE"])
async def test_a_state_that_is_none_is_refused(tenant: Any, status: Any) -> None:
    with pytest.raises(Invalid) as caught:
        await presence_tell(_member(tenant), status)
    assert caught.value.code == "presence_invalid"


@pytest.mark.parametrize("hint", [{}, {"typing": "agent", "user_id": str(uuid.uuid4())}, {"presence": "online"}])
def test_a_hint_of_something_else_tells_of_nobody(hint: dict[str, Any]) -> None:
    assert presence_told(hint) is None


async def test_presence_is_told_to_colleagues(tenant: Any, member: Any, api: Any) -> None:
    mine, theirs = await session_open(member), await staff(api.secret)
    await theirs.send(type="subscribe", queue=True)
    await theirs.receive("subscribed")
    await mine.receive("welcome")
    await mine.send(type="presence", status="away")
    frame = await theirs.receive("presence")
    assert (frame["user_id"], frame["status"]) == (str(member.id), "away")
    await asyncio.gather(mine.close(), theirs.close())
