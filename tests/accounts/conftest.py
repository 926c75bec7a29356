"""Invitations as tests make and answer them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

PASSWORD = "a long password"


class Browser:
    """Somebody at a browser: a session, and the two public routes."""

    def __init__(self, user: Any = None, **options: Any) -> None:
        self.client = Client(headers={"Host": "127.0.0.1"}, **options)
        if user is not None:
            self.client.force_login(user)

    def post(self, path: str, body: dict[str, Any], **headers: str) -> Any:
        return self.client.post(f"/api/v1{path}", body, content_type="application/json", headers=headers)

    def preview(self, token: str) -> Any:
        return self.post("/accounts/invitations/preview", {"token": token})

    def accept(self, token: str, **body: Any) -> Any:
        return self.post("/accounts/invitations/accept", {"token": token, **body})

    def me(self) -> Any:
        return self.client.get("/api/v1/accounts/me")

    def sign_in(self, email: str, password: str) -> bool:
        self.client.post("/accounts/login/", {"login": email, "password": password})
        return self.me().status_code == 200


def outcome(response: Any) -> tuple[int, str]:
    """Status and code of a refusal."""
    return response.status_code, response.json()["error"]["code"]


def token_of(link: str) -> str:
    return link.partition("#")[2]


@pytest.fixture
def invite() -> Callable[..., str]:
    """invite(client, email=...) -> the token of an invitation whose link was shown."""

    def run(client: Any, email: str = "ben@b.example", role: str = "agent", name: str = "Ben") -> str:
        answer = client.post("/accounts/members", {"email": email, "name": name, "role": role})
        assert answer.status_code == 201, answer.content
        return token_of(answer.json()["link"])

    return run


@pytest.fixture
def mail(settings: Any, mailoutbox: list[Any]) -> list[Any]:
    """A mail server is set; the messages that it took."""
    settings.EMAIL_CONFIGURED = True
    return mailoutbox


def mailed_token(mail: list[Any]) -> str:
    """The token in the newest message."""
    return token_of(next(line for line in mail[-1].body.splitlines() if "#" in line))
