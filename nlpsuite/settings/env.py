"""The only reader of the process environment, and of the secrets that `manage.py up` keeps under DATA_DIR."""

from __future__ import annotations

import hashlib
import ipaddress
import json
import os
import secrets
import tempfile
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent.parent


def env_str(name: str, default: str = "") -> str:
    """Return the variable, stripped; an empty one counts as unset."""
    return os.environ.get(name, "").strip() or default


def env_int(name: str, default: int) -> int:
    """Return the variable as an integer. Raises ValueError that names the variable."""
    raw = env_str(name)
    try:
        return int(raw) if raw else default
    except ValueError:
        raise ValueError(f"{name} must be a whole number, not {raw!r}") from None


def env_bool(name: str, default: bool = False) -> bool:
    """Return True for 1, true, yes, on (any case)."""
    raw = env_str(name).lower()
    return raw in {"1", "true", "yes", "on"} if raw else default


def env_list(name: str) -> list[str]:
    """Return the comma-separated variable as a list without empty items."""
    return [item.strip() for item in env_str(name).split(",") if item.strip()]


def env_networks(name: str) -> list[str]:
    """Return the comma-separated addresses and networks, e.g. 10.0.0.5 or 10.0.0.0/8, as networks.

    Raises ValueError that names the variable. "*" is no network: it would believe what anybody can send.
    """
    found = []
    for item in env_list(name):
        try:
            found.append(str(ipaddress.ip_network(item, strict=False)))
        except ValueError:
            raise ValueError(f"{name} must list addresses or networks such as 10.0.0.0/8, not {item!r}") from None
    return found


DATA_DIR = Path(env_str("DATA_DIR", ".data"))
if not DATA_DIR.is_absolute():
    DATA_DIR = BASE_DIR / DATA_DIR


def runtime_dir(data_dir: Path) -> Path:
    """Return the folder of the service sockets.

    A Unix socket's path is limited to about 100 bytes, so a deep DATA_DIR gets a short folder of its own.
    """
    inside = data_dir / "run"
    if len(str(inside)) <= 70 and (os.geteuid() != 0 or open_to_others(data_dir)):
        return inside
    digest = hashlib.sha256(str(data_dir).encode()).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"nlpsuite-{os.geteuid()}-{digest}"


def open_to_others(path: Path) -> bool:
    """Whether another system user can reach `path`, given its parents (PostgreSQL does not run as root)."""
    return all(p.stat().st_mode & 0o001 for p in path.parents if p.exists())


def secrets_read() -> dict[str, str]:
    """Return DATA_DIR/secrets.json, or nothing before the first start."""
    path = DATA_DIR / "secrets.json"
    return json.loads(path.read_text()) if path.exists() else {}


def secrets_ensure() -> dict[str, str]:
    """Create the installation's random secrets once (mode 0600) and return them."""
    kept = secrets_read()
    wanted = ("secret_key", "pg_superuser", "pg_owner", "pg_app")
    if all(name in kept for name in wanted):
        return kept
    values = {name: kept.get(name) or secrets.token_urlsafe(48) for name in wanted}
    DATA_DIR.mkdir(parents=True, exist_ok=True)
    path = DATA_DIR / "secrets.json"
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as handle:
        json.dump(values, handle)
    return values


RUN_DIR = runtime_dir(DATA_DIR)
PORT = env_int("PORT", 8000)
HOST = env_str("HOST", "127.0.0.1")


def local_host() -> str:
    """Return the address at which this machine reaches its own web process."""
    return "127.0.0.1" if HOST in {"0.0.0.0", "::"} else HOST  # noqa: S104  (compared, not bound)
