"""The secret that a backup is encrypted with. It is never an argument of a command and never part of a backup."""

from __future__ import annotations

import getpass
import os
import secrets
import sys
from pathlib import Path

from nlpsuite.backup.errors import KeyWrong
from nlpsuite.settings import env

LEAST_CHARS = 12
OWN_KEY = "backup.key"


def key_find(key_file: str | None, *, data_dir: Path) -> bytes | None:
    """Return the secret of the named file, of BACKUP_KEY, of the file BACKUP_KEY_FILE or of DATA_DIR/backup.key, the
    first that there is; else None. Raises KeyWrong for a file that cannot be read or is empty."""
    if key_file:
        return _from_file(Path(key_file))
    if phrase := env.env_str("BACKUP_KEY"):
        return phrase.encode()
    if named := env.env_str("BACKUP_KEY_FILE"):
        return _from_file(Path(named))
    own = data_dir / OWN_KEY
    return _from_file(own) if own.exists() else None


def key_for_backup(key_file: str | None, *, data_dir: Path) -> tuple[bytes, Path | None]:
    """Return the secret for a new backup, and the file that was made for it where there was none before.

    Raises KeyWrong for a secret of less than 12 characters. Effects: may write DATA_DIR/backup.key (mode 0600).
    """
    found = key_find(key_file, data_dir=data_dir)
    if found is None:
        path = data_dir / OWN_KEY
        found = secrets.token_urlsafe(32).encode()
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as handle:
            handle.write(found + b"\n")
        return found, path
    if len(found.decode(errors="replace")) < LEAST_CHARS:
        raise KeyWrong(f"The key has less than {LEAST_CHARS} characters.")
    return found, None


def key_for_reading(key_file: str | None, *, data_dir: Path) -> bytes:
    """Return the secret for a backup that exists; asks for it where a person sits at a terminal. Raises KeyWrong."""
    found = key_find(key_file, data_dir=data_dir)
    if found is None and sys.stdin.isatty():
        found = getpass.getpass("Key of the backup: ").strip().encode()
    if not found:
        raise KeyWrong(
            "There is no key. Give --key-file PATH, or set BACKUP_KEY or BACKUP_KEY_FILE; a backup made without them "
            "has the key that was kept in backup.key of its data folder."
        )
    return found


def _from_file(path: Path) -> bytes:
    try:
        found = path.read_bytes().strip()
    except OSError as error:
        raise KeyWrong(f"The key file {path} cannot be read: {error.strerror}.") from error
    if not found:
        raise KeyWrong(f"The key file {path} is empty.")
    return found
