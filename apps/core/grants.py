"""Grants of the runtime role, given by the owner after every migration run."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.db import connection

# Rows of these are never changed or removed by the application.
APPEND_ONLY = ("events_auditentry",)


def grant_runtime_role(*, app_config: AppConfig, **_: Any) -> None:
    """Give the runtime role its rights on all tables. Does nothing unless connected as the owner (`flush` calls it too).

    Sent once per app with models, after all tables exist: one of them is enough.
    """
    if app_config.label != "contenttypes":
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_has_role(nspowner, 'USAGE') FROM pg_namespace WHERE nspname = 'public'")
        if not cursor.fetchone()[0]:
            return
        role = connection.ops.quote_name(settings.RUNTIME_ROLE)
        cursor.execute(f"GRANT USAGE ON SCHEMA public TO {role}")
        cursor.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}")
        cursor.execute(f"GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {role}")
        existing = set(connection.introspection.table_names(cursor))
        for table in (*APPEND_ONLY, "django_migrations"):
            if table in existing:
                cursor.execute(f'REVOKE UPDATE, DELETE ON "{table}" FROM {role}')
        if "django_migrations" in existing:
            cursor.execute(f"REVOKE INSERT ON django_migrations FROM {role}")
