"""Fixtures of all tests: the database as the unprivileged role, tenants, clients, and the running product."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.db import connection, connections
from django.test import Client, TransactionTestCase
from playwright.sync_api import Browser, sync_playwright
from whitenoise.middleware import WhiteNoiseMiddleware

from nlpsuite.settings import env
from nlpsuite.settings.parts.database import OWNER_ROLE
from tests import network
from tests.browser import ARGS, executable
from tests.logs import SecretsWatch
from tests.stack import ONE_ADDRESS, Stack
from tests.superuser import superuser


def _as_owner(work: Any) -> Any:
    """Run `work` on the default connection as the owner role, and give the connection back to the runtime role."""
    database = connections["default"]
    kept = {name: database.settings_dict[name] for name in ("USER", "PASSWORD")}
    database.close_pool()
    database.settings_dict.update(USER=OWNER_ROLE, PASSWORD=env.secrets_read()["pg_owner"])
    try:
        return work(database)
    finally:
        database.close()
        database.close_pool()
        database.settings_dict.update(kept)


@pytest.fixture(scope="session")
def django_db_setup(django_db_blocker: Any) -> Iterator[None]:
    """Create and migrate the test database as the owner; tests run as the runtime role."""
    with django_db_blocker.unblock():
        _as_owner(lambda database: database.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False))
        yield
        # The database goes with the server that tests/services.py stops.


# Above this a table is given back to the disk, so that looking into it stays cheap for the tests that follow.
_SWEEP_ABOVE_BYTES = 1024 * 1024
_SIZES = """
SELECT relname, pg_relation_size(oid) FROM pg_class
WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname <> 'django_migrations'
"""
_SEQUENCES = "SELECT sequencename FROM pg_sequences WHERE schemaname = 'public' AND last_value IS NOT NULL"


def _empty_tables(self: TransactionTestCase) -> None:
    """Clean up behind a test that commits: delete from the tables that have rows, on a connection of the superuser.

    Truncating every table costs 150 ms, looking which ones were written 15 ms. The superuser alone sees through
    row-level security and may leave keys and triggers aside. The locks wait for what a test left in the middle.
    """
    connection.close()
    with superuser() as server:
        with server.transaction():
            server.execute("SET LOCAL lock_timeout = '20s'")
            server.execute("SET LOCAL session_replication_role = 'replica'")
            # A table that was never written has no bytes.
            sizes = {name: size for name, size in server.execute(_SIZES).fetchall() if size}
            if sizes:
                names = ", ".join(f'"{name}"' for name in sizes)
                server.execute(f"LOCK TABLE {names} IN SHARE ROW EXCLUSIVE MODE")
                asked = " UNION ALL ".join(f"(SELECT '{name}' FROM \"{name}\" LIMIT 1)" for name in sizes)
                for (name,) in server.execute(asked).fetchall():
                    server.execute(f'DELETE FROM "{name}"')
            for (name,) in server.execute(_SEQUENCES).fetchall():
                server.execute(f'ALTER SEQUENCE "{name}" RESTART')
        for name, size in sizes.items():
            if size > _SWEEP_ABOVE_BYTES:
                server.execute(f'VACUUM "{name}"')


TransactionTestCase._fixture_teardown = _empty_tables  # type: ignore[method-assign]


_look_for_files = WhiteNoiseMiddleware.add_files_from_finders
_static_files: dict[str, Any] = {}


def _look_once(self: WhiteNoiseMiddleware) -> None:
    """Each test client builds the middleware anew, which took 80 ms of a request's 105: the files stay the same."""
    if not _static_files:
        _look_for_files(self)
        _static_files.update(self.files)
    self.files.update(_static_files)


WhiteNoiseMiddleware.add_files_from_finders = _look_once


@pytest.fixture(autouse=True)
def secrets_watch() -> Iterator[SecretsWatch]:
    """Each test, whatever it is about: what it makes the product log opens nothing."""
    watch, root = SecretsWatch(), logging.getLogger()
    root.addHandler(watch)
    yield watch
    root.removeHandler(watch)
    assert watch.found == []


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--requests", default="1500", help="how many random requests tests/fuzz sends in all")


@pytest.fixture(autouse=True)
def _fast_passwords(settings: Any) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


def _make_tenant(name: str) -> Any:
    from apps.tenants.services import organization_create

    return organization_create(name=name, slug=name.lower())


@pytest.fixture
def tenant(db: None) -> Any:
    """Organisation A."""
    return _make_tenant("Acme")


@pytest.fixture
def other_tenant(db: None) -> Any:
    """Organisation B, whose rows A must never see."""
    return _make_tenant("Borealis")


class ApiClient:
    """A client of /api/v1 with a bearer key."""

    def __init__(self, secret: str) -> None:
        self.secret = secret
        self._client = Client(headers={"Authorization": f"Bearer {secret}", "Host": "127.0.0.1"})

    def request(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        extra: dict[str, Any] = {"headers": headers} if headers else {}
        call = getattr(self._client, method.lower())
        url = path if path.startswith(("/v1", "/tei", "/libre")) else f"/api/v1{path}"
        if body is None:
            return call(url, **extra)
        return call(url, body, content_type="application/json", **extra)

    def get(self, path: str, **headers: str) -> Any:
        return self.request("GET", path, **headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        return self.request("POST", path, {} if body is None else body, **headers)

    def patch(self, path: str, body: Any, **headers: str) -> Any:
        return self.request("PATCH", path, body, **headers)

    def delete(self, path: str, **headers: str) -> Any:
        return self.request("DELETE", path, **headers)


def _client_of(tenant: Any) -> ApiClient:
    from apps.accounts.services import api_key_create

    return ApiClient(api_key_create(tenant_id=tenant.id, name="test")[1])


@pytest.fixture
def api(tenant: Any) -> ApiClient:
    """A client with every scope of organisation A."""
    return _client_of(tenant)


@pytest.fixture
def other_api(other_tenant: Any) -> ApiClient:
    """A client with every scope of organisation B."""
    return _client_of(other_tenant)


@pytest.fixture
def member(tenant: Any) -> Any:
    """An owner of organisation A."""
    from apps.accounts.services import member_create

    return member_create(
        tenant_id=tenant.id, email="owner@acme.example", name="Owner", role="owner", password="a long password"
    )


@pytest.fixture
def inbox(tenant: Any) -> Any:
    """An inbox of organisation A."""
    from apps.conversations.services import inbox_create

    return inbox_create(tenant_id=tenant.id, name="Website", settings={"allowed_origins": ["https://shop.example"]})


@pytest.fixture
def other_inbox(other_tenant: Any) -> Any:
    """An inbox of organisation B."""
    from apps.conversations.services import inbox_create

    return inbox_create(tenant_id=other_tenant.id, name="Elsewhere")


@pytest.fixture(autouse=True)
def _empty_redis(request: pytest.FixtureRequest) -> None:
    """Rate limits and permits of one test do not reach the next."""
    if "db" in request.fixturenames or "transactional_db" in request.fixturenames:
        import redis

        redis.Redis.from_url(settings.REDIS_URL).flushdb()


@pytest.fixture(autouse=True, scope="session")
def _nothing_went_out() -> Iterator[None]:
    """A library may swallow the refusal of a connection; the run does not."""
    yield
    assert network.refused == []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Browser tests go last: Playwright keeps an event loop in the main thread, where no other may run meanwhile."""
    items.sort(key=lambda item: item.get_closest_marker("browser") is not None)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With `-n`, the parallel workers share the test files as tests/sharing.py says."""
    from tests.sharing import FromBothEnds

    return FromBothEnds(config, log)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A Chromium. It ends with the module, and Playwright's event loop with it."""
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=executable(), args=ARGS)
        yield running
        running.close()


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The whole product, as `manage.py up` starts it, with the real models."""
    running = Stack(tmp_path_factory.mktemp("stack"), **ONE_ADDRESS)
    running.start()
    yield running
    running.stop()
