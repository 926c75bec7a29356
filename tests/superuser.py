"""The test database as its superuser, whom neither row-level security nor keys and triggers stop."""

from __future__ import annotations

from typing import Any

import psycopg
from django.db import connection

from nlpsuite.settings import env
from nlpsuite.supervisor.postgres import SUPERUSER


def superuser() -> psycopg.Connection[Any]:
    """Return a new connection that commits by itself; close it. It sees what tests have committed."""
    found = connection.settings_dict
    return psycopg.connect(
        host=found["HOST"],
        port=found["PORT"],
        dbname=found["NAME"],
        user=SUPERUSER,
        password=env.secrets_read()["pg_superuser"],
        autocommit=True,
    )


def analyse(*tables: str) -> None:
    """Have the planner know what is committed in `tables`: the runtime role may not ask for it."""
    with superuser() as server:
        for table in tables:
            server.execute(f'ANALYZE "{table}"')
