"""An open staff socket follows what becomes of its member: rights, membership, session."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.conf import settings
from django.contrib.sessions.models import Session
from django.test import Client

from apps.accounts.access import ACTIVE_ORGANIZATION
from apps.accounts.models import Membership
from apps.accounts.services import member_create
from apps.conversations.selectors import conversation_get
from apps.conversations.services import conversation_create, message_post
from tests.sockets import Socket, call

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.inbox.consumers.RECHECK_S", 0.1)


def _signed_in(user: Any, tenant: Any) -> list[tuple[bytes, bytes]]:
    client = Client(headers={"Host": "127.0.0.1"})
    client.force_login(user)
    session = client.session
    session[ACTIVE_ORGANIZATION] = str(tenant.id)
    session.save()
    return [(b"cookie", f"{settings.SESSION_COOKIE_NAME}={session.session_key}".encode())]


async def _open(user: Any, tenant: Any) -> Socket:
    socket = await Socket("/ws/inbox", headers=await call(_signed_in, user=user, tenant=tenant)).open()
    assert (await socket.receive("welcome"))["organization_id"] == str(tenant.id)
    return socket


async def test_leaving_one_of_two_organisations_closes_its_sockets(tenant: Any, other_tenant: Any, member: Any) -> None:
    await call(member_create, tenant_id=other_tenant.id, email=member.email, name="Owner", role="owner", password=None)
    socket = await _open(member, other_tenant)
    await call(lambda: Membership.objects.filter(tenant_id=other_tenant.id).delete())
    assert await socket.closed() == 4401


async def test_a_member_who_may_write_no_longer_cannot_write(tenant: Any, inbox: Any, member: Any) -> None:
    socket = await _open(member, tenant)
    await call(lambda: Membership.objects.update(role="analyst"))
    await socket.quiet(0.4)
    await socket.send(type="draft.cancel", draft_id=str(uuid.uuid4()))
    assert (await socket.receive("error"))["code"] == "scope_missing"
    await socket.close()


async def test_signing_out_closes_the_socket(tenant: Any, member: Any) -> None:
    socket = await _open(member, tenant)
    await call(lambda: Session.objects.all().delete())
    assert await socket.closed() == 4401


async def test_a_new_password_closes_the_sockets_of_the_old_one(tenant: Any, member: Any) -> None:
    socket = await _open(member, tenant)
    member.set_password("another long password")
    await call(member.save)
    assert await socket.closed() == 4401


async def test_an_analysts_reading_leaves_messages_unread_for_agents(tenant: Any, inbox: Any) -> None:
    analyst = await call(
        member_create, tenant_id=tenant.id, email="an@a.example", name="An", role="analyst", password=None
    )
    made = await call(conversation_create, tenant_id=tenant.id, contact={"name": "Ada"})
    where = {"tenant_id": tenant.id, "conversation_id": made.id}
    await call(message_post, **where, role="contact", text="hello")
    socket = await _open(analyst, tenant)
    await socket.send(type="seen", conversation_id=str(made.id), seq=1)
    assert await socket.quiet(0.3) == []
    assert (await call(conversation_get, **where)).unread == 1
    await socket.close()
