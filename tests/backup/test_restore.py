"""Backup and restore part by part: keys, files of one moment, what a comparison finds, a server of one's own."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import stat
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.apps import apps
from django.conf import settings as django_settings
from psycopg.conninfo import conninfo_to_dict

from nlpsuite.backup import create, files, server, verify
from nlpsuite.backup.compare import database_describe, database_differences
from nlpsuite.backup.dump import database_dump, database_load
from nlpsuite.backup.errors import Different, FileDamaged, FileForeign, KeyWrong, NoSpace, NotEmpty, Unreachable
from nlpsuite.backup.files import file_store, staged
from nlpsuite.backup.keys import key_for_backup, key_for_reading
from nlpsuite.backup.progress import Progress
from nlpsuite.backup.read import _require_known
from nlpsuite.supervisor import postgres
from nlpsuite.supervisor.process import User
from tests.backup.test_backup import manage

Usage = namedtuple("Usage", "total used free")
QUIET = Progress(quiet=True)
PASSPHRASE = "correct horse battery"


# -- keys ------------------------------------------------------------------------------------------------------------
def test_the_first_backup_makes_a_private_key_and_the_next_one_uses_it(tmp_path: Path) -> None:
    first, made = key_for_backup(None, data_dir=tmp_path)
    assert made is not None
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    assert key_for_backup(None, data_dir=tmp_path) == (first, None)
    assert key_for_reading(None, data_dir=tmp_path) == first


def test_a_named_file_goes_before_the_passphrase_and_that_before_the_own_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key_for_backup(None, data_dir=tmp_path)
    (tmp_path / "named").write_text("a key in a file\n")
    monkeypatch.setenv("BACKUP_KEY_FILE", str(tmp_path / "named"))
    assert key_for_reading(None, data_dir=tmp_path) == b"a key in a file"
    monkeypatch.setenv("BACKUP_KEY", PASSPHRASE)
    assert key_for_reading(None, data_dir=tmp_path) == PASSPHRASE.encode()
    assert key_for_reading(str(tmp_path / "named"), data_dir=tmp_path) == b"a key in a file"


@pytest.mark.parametrize("content", [b"", b"\n", None])
def test_a_key_file_that_is_empty_or_missing_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "key"
    _ = content is not None and path.write_bytes(content)
    with pytest.raises(KeyWrong):
        key_for_backup(str(path), data_dir=tmp_path)


def test_a_short_passphrase_makes_no_backup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKUP_KEY", "short")
    with pytest.raises(KeyWrong, match="12 characters"):
        key_for_backup(None, data_dir=tmp_path)


def test_reading_without_a_key_says_where_one_may_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BACKUP_KEY", raising=False)
    with pytest.raises(KeyWrong, match="--key-file"):
        key_for_reading(None, data_dir=tmp_path)


# -- versions --------------------------------------------------------------------------------------------------------
def test_a_backup_of_a_newer_version_is_refused_by_name() -> None:
    with pytest.raises(FileForeign, match=r"newer version.*conversations\.0999_future"):
        _require_known({"product": "9.9", "migrations": ["tenants.0001_initial", "conversations.0999_future"]})


def test_a_backup_of_an_older_version_is_taken() -> None:
    _require_known({"product": "0.0", "migrations": ["tenants.0001_initial"]})


# -- files -----------------------------------------------------------------------------------------------------------
@pytest.fixture
def stored(tmp_path: Path) -> Path:
    root = tmp_path / "files"
    (root / "one").mkdir(parents=True)
    (root / "one" / "old").write_bytes(b"old")
    return root


def test_files_that_go_and_come_around_the_snapshot_are_in_the_backup(stored: Path) -> None:
    with staged(stored) as stage:
        stage.take()
        (stored / "one" / "old").unlink()
        (stored / "one" / "new").write_bytes(b"newer")
        stage.take()
        (stored / "one" / "new").unlink()
        assert stage.names == {"one/old": 3, "one/new": 5}
        assert b"".join(stage.blocks("one/old", _Nothing())) == b"old"
        assert b"".join(stage.blocks("one/new", _Nothing())) == b"newer"
    assert [path.name for path in stored.iterdir()] == ["one"]


class _Nothing:
    def update(self, _: bytes) -> None:
        return None


def test_a_file_system_without_links_is_copied_from(stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def link(*_: Any) -> None:
        raise PermissionError("no links here")

    monkeypatch.setattr(files.os, "link", link)
    with staged(stored) as stage:
        stage.take()
        (stored / "one" / "old").unlink()
        assert b"".join(stage.blocks("one/old", _Nothing())) == b"old"


def test_what_a_killed_backup_left_is_removed_and_not_backed_up(stored: Path) -> None:
    (stored / ".backup-dead" / "one").mkdir(parents=True)
    (stored / ".backup-dead" / "one" / "left").write_bytes(b"x")
    with staged(stored) as stage:
        stage.take()
        assert list(stage.names) == ["one/old"]
    assert not (stored / ".backup-dead").exists()


def test_two_backups_at_once_are_refused(stored: Path) -> None:
    with staged(stored), pytest.raises(NotEmpty, match="Another backup"), staged(stored):
        pass


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "one/../../outside"])
def test_a_name_that_leads_out_of_the_folder_is_refused(stored: Path, name: str) -> None:
    with pytest.raises(FileDamaged):
        file_store(stored, name, iter([b"x"]))
    assert not (stored.parent / "outside").exists()


def test_every_column_that_names_a_stored_file_is_looked_up() -> None:
    columns = {
        (model._meta.db_table, field.column)
        for model in apps.get_models()
        for field in model._meta.local_fields
        if field.name in {"storage_name", "result_name"}
    }
    assert columns == set(create.file_columns())


# -- a database of its own -------------------------------------------------------------------------------------------
SCHEMA = """
SET ROLE app_owner;
CREATE TABLE shop (id int PRIMARY KEY, tenant_id int NOT NULL, name varchar(40), at timestamptz DEFAULT now(), v vector(3));
CREATE INDEX shop_name ON shop (name) WHERE name IN ('tile 1', 'tile 2');
ALTER TABLE shop ENABLE ROW LEVEL SECURITY;
ALTER TABLE shop FORCE ROW LEVEL SECURITY;
CREATE POLICY wall ON shop USING (tenant_id = 1) WITH CHECK (tenant_id = 1);
GRANT SELECT, INSERT ON shop TO app_rw;
RESET ROLE;
INSERT INTO shop SELECT n, n % 3, 'tile ' || n, now(), format('[%s,0.1,0.25]', n)::vector FROM generate_series(1, 500) n;
"""


@pytest.fixture(scope="module")
def filled() -> Iterator[server.Server]:
    with server.server_scratch(None) as one:
        with one.connect() as connection:
            connection.execute(SCHEMA)
        yield one


@pytest.fixture(scope="module")
def described(filled: server.Server) -> dict[str, Any]:
    with filled.connect() as connection:
        return database_describe(connection, QUIET, "")


@pytest.fixture
def copy(filled: server.Server) -> Iterator[server.Server]:
    """A second database of the same server, loaded from a dump of the first."""
    conninfo = psycopg.conninfo.make_conninfo(filled.conninfo, dbname="copy")
    second = server.Server(conninfo, filled.password, filled.owner)
    with filled.connect(autocommit=True) as connection:
        connection.execute("CREATE DATABASE copy OWNER app_owner")
    try:
        with filled.connect() as reading:
            reading.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            snapshot = reading.execute("SELECT pg_export_snapshot()").fetchone()[0]  # type: ignore[index]
            dumped = database_dump(filled, snapshot=snapshot, major=18, sizes={"shop": 1}, progress=QUIET)
            database_load(second, dumped)
        yield second
    finally:
        with filled.connect(autocommit=True) as connection:
            connection.execute("DROP DATABASE copy WITH (FORCE)")


def differences(described: dict[str, Any], one: server.Server) -> list[str]:
    with one.connect() as connection:
        return database_differences(described, database_describe(connection, QUIET, ""))


def test_a_dump_that_was_loaded_is_the_same(described: dict[str, Any], copy: server.Server) -> None:
    assert described["tables"]["shop"]["rows"] == 500
    assert differences(described, copy) == []


def test_what_was_loaded_belongs_to_the_owner(copy: server.Server) -> None:
    with copy.connect() as connection:
        owner = connection.execute("SELECT tableowner FROM pg_tables WHERE tablename = 'shop'").fetchone()
    assert owner == ("app_owner",)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("UPDATE shop SET name = name || ' ' WHERE id = 7", "table shop: the rows differ"),
        ("UPDATE shop SET v = '[7,0.1,0.250001]' WHERE id = 7", "table shop: the rows differ"),
        ("UPDATE shop SET tenant_id = tenant_id + 1 WHERE id IN (3, 4)", "table shop: the rows differ"),
        ("DELETE FROM shop WHERE id = 500", "table shop: 499 rows, 500 in the backup"),
        ("ALTER TABLE shop DISABLE ROW LEVEL SECURITY", "row-level security: shop differs"),
        ("ALTER TABLE shop NO FORCE ROW LEVEL SECURITY", "row-level security: shop differs"),
        ("ALTER POLICY wall ON shop USING (true)", "policies: shop.wall differs"),
        ("DROP POLICY wall ON shop", "policies: shop.wall is missing"),
        ("DROP INDEX shop_name", "indexes: shop_name is missing"),
        ("DROP INDEX shop_name; CREATE INDEX shop_name ON shop (name)", "indexes: shop_name differs"),
        ("GRANT DELETE ON shop TO app_rw", "grants: shop differs"),
        ("ALTER TABLE shop ALTER tenant_id DROP NOT NULL", "columns: shop.tenant_id differs"),
        ("CREATE TABLE extra (id int)", "table extra was not in the backup"),
    ],
)
def test_a_comparison_finds_what_was_changed(
    described: dict[str, Any], copy: server.Server, change: str, said: str
) -> None:
    with copy.connect() as connection:
        connection.execute(change)
    assert said in differences(described, copy)


def test_a_dump_that_stops_in_the_middle_leaves_nothing(filled: server.Server) -> None:
    def cut() -> Iterator[bytes]:
        yield b"PGDMP\x01\x10\x00"
        raise FileDamaged("cut")

    with filled.connect(autocommit=True) as connection:
        connection.execute("CREATE DATABASE cut OWNER app_owner")
    one = server.Server(psycopg.conninfo.make_conninfo(filled.conninfo, dbname="cut"), filled.password, filled.owner)
    with pytest.raises(FileDamaged):
        database_load(one, cut())
    with pytest.raises(Different, match="pg_restore"):
        database_load(one, iter([b"something else"]))
    with one.connect() as connection:
        assert connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (0,)


def test_a_password_is_in_no_argument(filled: server.Server) -> None:
    assert filled.password not in filled.conninfo


# -- places ----------------------------------------------------------------------------------------------------------
def test_a_disk_without_room_is_refused_before_anything_is_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(verify.shutil, "disk_usage", lambda _: Usage(100, 50, 50))
    with pytest.raises(NoSpace, match="50 B free"):
        verify.space_require(tmp_path, 1_000_000)


def _fail_half_way(path: Path) -> None:
    with create._replacing(path) as file:
        file.write(b"half")
        raise RuntimeError("no")


def test_a_file_that_fails_half_way_is_not_left(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError):
        _fail_half_way(tmp_path / "backup")
    assert list(tmp_path.iterdir()) == []


def test_a_backup_takes_the_place_of_one_of_before_only_when_it_is_whole(tmp_path: Path) -> None:
    (tmp_path / "backup").write_bytes(b"before")
    with pytest.raises(RuntimeError):
        _fail_half_way(tmp_path / "backup")
    assert (tmp_path / "backup").read_bytes() == b"before"
    with create._replacing(tmp_path / "backup") as file:
        file.write(b"after")
    assert (tmp_path / "backup").read_bytes() == b"after"
    assert stat.S_IMODE((tmp_path / "backup").stat().st_mode) == 0o600


def test_a_backup_does_not_lie_among_the_files(settings: Any, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = str(tmp_path)
    with pytest.raises(NotEmpty, match="among the files"):
        create._require_place(tmp_path / "backup")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to another user")
def test_a_cluster_that_root_copied_is_given_to_its_user_again(tmp_path: Path) -> None:
    (tmp_path / "base" / "1").mkdir(parents=True)
    (tmp_path / "base" / "1" / "1247").write_text("x")
    (tmp_path / "PG_VERSION").write_text("18")
    postgres._own(tmp_path, User(uid=65534, gid=65534))
    assert {path.stat().st_uid for path in [tmp_path, *tmp_path.rglob("*")]} == {65534}
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700


# -- a server of one's own -------------------------------------------------------------------------------------------
def _urls(one: server.Server, passwords: dict[str, str]) -> dict[str, str]:
    """The variables of an installation on a server of its own, whose roles have these passwords."""
    found = conninfo_to_dict(one.conninfo)

    def url(role: str, password: str) -> str:
        return f"postgresql://{role}:{password}@/{found['dbname']}?host={found['host']}&port=5432"

    return {
        "DATABASE_URL": url("app_rw", passwords["pg_app"]),
        "DATABASE_OWNER_URL": url("app_owner", passwords["pg_owner"]),
        "BACKUP_DATABASE_URL": url(str(found["user"]), one.password),
        "SECRET_KEY": "k" * 50,
    }


@pytest.fixture
def own_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[dict[str, str]]]:
    """Two servers, as somebody else may run them."""
    with contextlib.ExitStack() as stack:
        found = []
        for name in ("s1", "s2"):
            passwords = {role: f"{role}-{name}-secret" for role in ("pg_superuser", "pg_owner", "pg_app")}
            folder = tmp_path_factory.mktemp(name)
            folder.chmod(0o711)
            folder.parent.chmod(0o711)
            run_dir = server.env.runtime_dir(folder)
            stack.callback(shutil.rmtree, run_dir, ignore_errors=True)
            one = stack.enter_context(server.server_new(folder, run_dir, passwords, durable=False))
            found.append(_urls(one, passwords))
        yield found


def test_a_database_that_somebody_else_runs_is_backed_up_and_restored(
    own_servers: list[dict[str, str]], tmp_path: Path
) -> None:
    first, second = own_servers
    prepared = manage(tmp_path / "d1", "prepare", **first, DB_ROLE="app_owner")
    assert prepared.returncode == 0, prepared.stderr
    (tmp_path / "d1" / "files" / "t").mkdir(parents=True)
    (tmp_path / "d1" / "files" / "t" / "f").write_bytes(b"content")
    file = tmp_path / "backup"

    bound = manage(tmp_path / "d1", "backup", str(file), **{**first, "BACKUP_DATABASE_URL": ""})
    assert (bound.returncode, "BACKUP_DATABASE_URL" in bound.stderr, file.exists()) == (9, True, False)
    made = manage(tmp_path / "d1", "backup", str(file), "--json", **first)
    assert made.returncode == 0, made.stderr
    back = manage(tmp_path / "d2", "restore", str(file), "--json", **second)
    assert back.returncode == 0, back.stderr
    assert json.loads(back.stdout)["rows"] == json.loads(made.stdout)["rows"]
    assert (tmp_path / "d2" / "files" / "t" / "f").read_bytes() == b"content"
    # The key that signs came from the environment and is kept for whoever restores without it.
    assert json.loads((tmp_path / "d2" / "secrets.json").read_text())["secret_key"] == "k" * 50
    again = manage(tmp_path / "d3", "restore", str(file), **second)
    assert (again.returncode, "tables" in again.stderr) == (6, True)


def test_a_database_that_does_not_answer_is_unreachable(tmp_path: Path) -> None:
    away = "postgresql://app_rw:x@/nlpsuite?host=/nowhere"
    done = manage(tmp_path, "backup", str(tmp_path / "backup"), DATABASE_URL=away, SECRET_KEY="k" * 50)
    assert done.returncode == 9
    assert not (tmp_path / "backup").exists()


def test_a_folder_without_an_installation_is_unreachable(tmp_path: Path) -> None:
    assert manage(tmp_path, "backup", str(tmp_path / "backup")).returncode == 9


def test_a_program_that_is_too_old_is_named() -> None:
    with pytest.raises(Unreachable, match="PostgreSQL 99"):
        server.program("pg_dump", least_major=99)


def test_the_folder_of_files_is_the_one_that_is_backed_up() -> None:
    assert Path(django_settings.MEDIA_ROOT).name == "files"
