"""A PostgreSQL of the bench's own, migrated, with Django set up on it: for what is measured in the database alone.

Import it before anything of Django. It writes to disk as durably as the product's does, and goes when the process ends.
"""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path

_home = Path(tempfile.mkdtemp(prefix="nlpsuite-bench-"))
_home.chmod(0o711)  # PostgreSQL's system user passes through
for _name in ("DATABASE_URL", "REDIS_URL", "PUBLIC_URL", "SECRET_KEY"):
    os.environ.pop(_name, None)
os.environ.update(DATA_DIR=str(_home / "data"), DJANGO_SETTINGS_MODULE="nlpsuite.settings.base", LOG_LEVEL="ERROR")

from nlpsuite.settings import env

env.DATA_DIR.mkdir(mode=0o711, parents=True)
env.secrets_ensure()

import django

from nlpsuite.supervisor import postgres, process, valkey

_children: list[process.Child] = []


def serve(**settings: str) -> None:
    """Start the servers, PostgreSQL with these settings more, and set Django up, with an empty database."""
    env.RUN_DIR.mkdir(mode=0o711, parents=True, exist_ok=True)
    secrets = env.secrets_read()
    cluster = postgres.locate(env.DATA_DIR, env.RUN_DIR)
    postgres.initialise(cluster, secrets["pg_superuser"])
    server = postgres.child(cluster)
    server.command = [*server.command, *(part for name in settings for part in ("-c", f"{name}={settings[name]}"))]
    for child in (valkey.child(env.DATA_DIR, env.RUN_DIR / "valkey.sock"), server):
        process.start(child, lambda role, line: None)
        _children.append(child)
    postgres.wait_ready(cluster, secrets["pg_superuser"])
    postgres.provision(cluster, secrets)
    valkey.wait_ready(env.RUN_DIR / "valkey.sock")
    django.setup()


def start(**settings: str) -> uuid.UUID:
    """Start the servers as `serve` does, migrate; returns the id of an organisation to write for."""
    serve(**settings)
    owner = {**os.environ, "DB_ROLE": "app_owner"}
    subprocess.run([sys.executable, "manage.py", "migrate", "--verbosity", "0"], env=owner, check=True)
    from apps.tenants.services import organization_create

    return organization_create(name="Bench", slug="bench").id


def superuser() -> str:
    """Return the connection string of the role that no wall binds: to fill tables by SQL and to read sizes."""
    password = env.secrets_read()["pg_superuser"]
    return f"host={env.RUN_DIR / 'pg'} dbname=nlpsuite user={postgres.SUPERUSER} password={password}"


@atexit.register
def _stop() -> None:
    process.stop(_children, patience_s=10)
    for folder in (env.RUN_DIR, _home):
        if "nlpsuite-" in str(folder):
            shutil.rmtree(folder, ignore_errors=True)
