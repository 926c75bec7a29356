"""The model routes as the web process serves them: past the middleware of pages, and ended when a client leaves."""

from __future__ import annotations

import json
from typing import Any

import pytest
import redis
from asgiref.testing import ApplicationCommunicator
from channels.db import database_sync_to_async
from django.conf import settings

from apps.accounts.services import api_key_create
from apps.inference.types import Piece
from nlpsuite.handlers import ByPath, ModelRoutesHandler
from tests.fakes import FakeModels
from tests.model_api.conftest import CHAT
from tests.sockets import until


def communicator(path: str, *, method: str = "GET", key: str = "", scheme: str = "http") -> ApplicationCommunicator:
    headers = [(b"host", b"127.0.0.1"), (b"authorization", f"Bearer {key}".encode())]
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": b"",
        "headers": headers,
        "scheme": scheme,
        "server": ("127.0.0.1", 80),
    }
    return ApplicationCommunicator(ModelRoutesHandler(), scope)


async def answered(client: ApplicationCommunicator) -> tuple[int, dict[str, str], bytes]:
    await client.send_input({"type": "http.request", "body": b"", "more_body": False})
    start = await client.receive_output(5)
    body = await client.receive_output(5)
    headers = {name.decode().lower(): value.decode() for name, value in start["headers"]}
    return start["status"], headers, body["body"]


@pytest.mark.parametrize(
    ("path", "special"),
    [
        ("/v1", True),
        ("/v1/models", True),
        ("/tei", True),
        ("/tei/embed", True),
        ("/", False),
        ("/v1x", False),
        ("/api/v1/docs", False),
        ("//v1/models", False),
        ("*", False),
    ],
)
async def test_only_the_model_routes_go_past_the_pages(path: str, special: bool) -> None:
    went: list[str] = []

    def to(name: str) -> Any:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            went.append(name)

        return app

    await ByPath(frozenset({"v1", "tei"}), to("special"), to("common"))({"path": path}, None, None)
    assert went == ["special" if special else "common"]


async def test_an_answer_has_an_id_and_safe_headers_and_no_cookie() -> None:
    status, headers, body = await answered(communicator("/v1/models"))
    assert (status, json.loads(body)["error"]["code"]) == (401, "invalid_api_key")
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-request-id"]
    assert "set-cookie" not in headers


async def test_plain_http_is_redirected_where_pages_are(settings: Any) -> None:
    settings.SECURE_SSL_REDIRECT = True
    settings.ALLOWED_HOSTS = ["127.0.0.1"]
    status, headers, _ = await answered(communicator("/v1/models"))
    assert (status, headers["location"]) == (301, "https://127.0.0.1/v1/models")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("stream", [True, False])
async def test_a_client_that_leaves_stops_the_engine(tenant: Any, models: FakeModels, stream: bool) -> None:
    models.steps = lambda request: [Piece("a", 1), 60.0]
    key = await _key(tenant)
    client = communicator("/v1/chat/completions", method="POST", key=key)
    body = {"model": CHAT, "messages": [{"role": "user", "content": "x"}], "stream": stream}
    await client.send_input({"type": "http.request", "body": json.dumps(body).encode(), "more_body": False})
    await until(lambda: bool(models.generations))
    counted = redis.Redis.from_url(settings.REDIS_URL)
    assert counted.zcard(f"infer:tenant:{tenant.id}") == 1
    await client.send_input({"type": "http.disconnect"})
    await client.wait(5)
    assert models.generations[0].closed == 1
    assert counted.zcard(f"infer:tenant:{tenant.id}") == 0


async def _key(tenant: Any) -> str:
    # The thread gives its connection back: tests after this one count those that are lent.
    made = await database_sync_to_async(api_key_create)(tenant_id=tenant.id, name="k")
    return made[1]
