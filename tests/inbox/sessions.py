"""Staff with a session on the socket, and conversations to look at."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.test import Client

from apps.conversations.services import conversation_create, message_post
from tests.sockets import OWN, Socket, call


def _cookie(user: Any) -> list[tuple[bytes, bytes]]:
    client = Client(headers={"Host": "127.0.0.1"})
    client.force_login(user)
    value = client.cookies[settings.SESSION_COOKIE_NAME].value
    return [(b"cookie", f"{settings.SESSION_COOKIE_NAME}={value}".encode())]


def talk_make(tenant: Any, text: str = "When do pallets leave the yard?") -> str:
    made = conversation_create(tenant_id=tenant.id, contact={"name": "Ada"})
    message_post(tenant_id=tenant.id, conversation_id=made.id, role="contact", text=text)
    return str(made.id)


async def session_open(user: Any, origin: str | None = OWN) -> Socket:
    headers = await call(lambda: _cookie(user))
    return await Socket("/ws/inbox", origin=origin, headers=headers).open()
