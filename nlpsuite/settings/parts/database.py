"""PostgreSQL: the URL in DATABASE_URL, or the embedded server's socket. DB_ROLE=app_owner runs migrations."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from nlpsuite.settings import env

DATABASE_URL = env.env_str("DATABASE_URL")
OWNER_ROLE = "app_owner"
RUNTIME_ROLE = "app_rw"
# For `manage.py backup` and `restore` beside a server of one's own: a role that row-level security does not bind.
BACKUP_DATABASE_URL = env.env_str("BACKUP_DATABASE_URL")
DB_ROLE = env.env_str("DB_ROLE", RUNTIME_ROLE)


def _connection() -> dict[str, Any]:
    if DATABASE_URL:
        # One URL, of the runtime role; DATABASE_OWNER_URL is used by migrations only.
        raw = env.env_str("DATABASE_OWNER_URL", DATABASE_URL) if DB_ROLE == OWNER_ROLE else DATABASE_URL
        url = urlsplit(raw)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        return {
            "NAME": unquote(url.path.lstrip("/")),
            "USER": unquote(url.username or ""),
            "PASSWORD": unquote(url.password or ""),
            "HOST": query.pop("host", None) or url.hostname or "",
            "PORT": str(url.port or query.pop("port", "") or ""),
            "extra": query,
        }
    kept = env.secrets_read()
    return {
        "NAME": "nlpsuite",
        "USER": DB_ROLE,
        "PASSWORD": kept.get("pg_owner" if DB_ROLE == OWNER_ROLE else "pg_app", ""),
        "HOST": str(env.RUN_DIR / "pg"),
        "PORT": "5432",
        "extra": {},
    }


_found = _connection()
_session_options = (
    # Small tenants keep their rows when an approximate index is filtered (checked again at boot).
    "-c hnsw.iterative_scan=relaxed_order -c statement_timeout=60000 -c idle_in_transaction_session_timeout=120000"
)
DATABASES: dict[str, dict[str, Any]] = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        **{name: _found[name] for name in ("NAME", "USER", "PASSWORD", "HOST", "PORT")},
        # A connection that a restart of the server has cut is replaced when it is taken from the pool.
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {
            **_found["extra"],
            "connect_timeout": 5,
            "options": _session_options,
            "pool": {
                "min_size": 1,
                "max_size": env.env_int("DB_POOL_SIZE", 20),
                "timeout": 10,
                # Belt and braces: a borrowed connection never starts with somebody's tenant.
                "reset": lambda connection: connection.execute("RESET app.tenant_id"),
            },
        },
    }
}
if DB_ROLE == OWNER_ROLE:
    # Migrations lock tables for longer than requests may.
    DATABASES["default"]["OPTIONS"] = {**_found["extra"], "connect_timeout": 5}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
# Threads that serve all sockets of a web process; fewer than connections, so that requests keep some.
SOCKET_THREADS = env.env_int("SOCKET_THREADS", 12)
