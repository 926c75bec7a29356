"""pytest plugin, loaded before Django: PostgreSQL and Valkey of this test run, on sockets in a folder of their own."""

from __future__ import annotations

import argparse
import atexit
import os
import shutil
import tempfile
from pathlib import Path

_home = Path(tempfile.mkdtemp(prefix="nlpsuite-tests-"))
_home.chmod(0o711)  # PostgreSQL's system user passes through
for name in ("DATABASE_URL", "REDIS_URL", "PUBLIC_URL", "SECRET_KEY", "STORAGE_URL", "HOST", "EGRESS_ALLOW_CIDRS"):
    os.environ.pop(name, None)
os.environ.update(
    DATA_DIR=str(_home / "data"),
    DJANGO_SETTINGS_MODULE="nlpsuite.settings.base",
    PORT="8899",
    TOKENIZERS_PARALLELISM="false",
    HF_HUB_OFFLINE="1",
    # One process is web, worker and callers at once here: threads of an earlier test must not keep a later one waiting.
    DB_POOL_SIZE="40",
)

from nlpsuite.settings import env
from tests import network

network.install()
# Before anything reads the database settings, which take the passwords from there.
env.DATA_DIR.mkdir(mode=0o711, parents=True)
env.secrets_ensure()

from nlpsuite.supervisor import postgres, process, valkey

_children: list[process.Child] = []


def _start() -> None:
    env.RUN_DIR.mkdir(mode=0o711, parents=True, exist_ok=True)
    secrets = env.secrets_read()
    cache = valkey.child(env.DATA_DIR, env.RUN_DIR / "valkey.sock")
    cluster = postgres.locate(env.DATA_DIR, env.RUN_DIR)
    postgres.initialise(cluster, secrets["pg_superuser"])
    server = postgres.child(cluster)
    # The data lives as long as the run: durability to disk would only slow it.
    server.command = [*server.command, "-c", "fsync=off", "-c", "full_page_writes=off"]
    for child in (cache, server):
        process.start(child, lambda role, line: None)
        _children.append(child)
    postgres.wait_ready(cluster, secrets["pg_superuser"])
    postgres.provision(cluster, secrets, create_databases=True)
    valkey.wait_ready(env.RUN_DIR / "valkey.sock")


def _stop() -> None:
    process.stop(_children, patience_s=10)
    if env.RUN_DIR.is_relative_to(_home) or env.RUN_DIR.name.startswith("nlpsuite-"):
        shutil.rmtree(env.RUN_DIR, ignore_errors=True)
    shutil.rmtree(_home, ignore_errors=True)


def _runs_tests() -> bool:
    """Say whether this process runs tests itself; with `-n` its workers do, each with services of its own."""
    options = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    options.add_argument("-n", "--numprocesses", default="0")
    return "PYTEST_XDIST_WORKER" in os.environ or options.parse_known_args()[0].numprocesses == "0"


if _runs_tests():
    _start()
    atexit.register(_stop)
else:
    atexit.register(shutil.rmtree, _home, ignore_errors=True)
