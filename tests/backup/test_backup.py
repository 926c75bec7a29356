"""K8: a backup made while the product works restores to the same rows, and the restored product answers.

One run of the product for all of it: 20 messages a second while the backup is made, then a stop in the middle of work.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect

from tests.stack import ROOT, Stack

pytestmark = [pytest.mark.stack, pytest.mark.models, pytest.mark.timeout(1500)]
MESSAGES_PER_S = 20
KEY = "a passphrase for the backup"
# Columns that nothing changes once a row is there, so a restored row has what the one that went on living has.
UNCHANGING = {
    "conversations_message": "id, tenant_id, conversation_id, seq, role, text, private, citations, decision, created_at",
    "conversations_contact": "id, tenant_id, name, email, external_id, created_at",
    "knowledge_chunk": "id, tenant_id, source_id, ordinal, text, embedding, search",
    "knowledge_sourcefile": "id, tenant_id, name, storage_name, size_bytes, sha256, source_id",
    "events_event": "id, tenant_id, type, subject_id, data, actor, created_at",
}


class Writers:
    """Post `MESSAGES_PER_S` messages a second and keep the ids of those that were acknowledged, with the time."""

    def __init__(self, stack: Stack) -> None:
        self.acknowledged: list[tuple[float, str]] = []
        self._stack, self._stop = stack, threading.Event()
        self._threads = [threading.Thread(target=self._write, daemon=True) for _ in range(4)]
        for thread in self._threads:
            thread.start()

    def _write(self) -> None:
        with self._stack.client() as client:
            made = client.post("/api/v1/conversations", json={"contact": {"name": "Writer"}}).json()
            path, due = f"/api/v1/conversations/{made['id']}/messages", time.monotonic()
            while not self._stop.is_set():
                due = max(due + len(self._threads) / MESSAGES_PER_S, time.monotonic() - 1)
                answer = client.post(path, json={"text": f"Number {uuid.uuid4()}", "role": "agent"})
                if answer.status_code in {200, 201}:
                    self.acknowledged.append((time.monotonic(), answer.json()["id"]))
                self._stop.wait(max(0.0, due - time.monotonic()))

    def end(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)


def manage(data: Path, *command: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a management command on the installation in `data`."""
    dropped = {"DATABASE_URL", "REDIS_URL", "PUBLIC_URL", "SECRET_KEY", "HOST", "DB_ROLE", "BACKUP_KEY"}
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    return subprocess.run(
        [sys.executable, "manage.py", *command],
        cwd=ROOT,
        env={**kept, "DATA_DIR": str(data), "BACKUP_KEY": KEY, **env},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("backup")


@pytest.fixture(scope="module")
def source(place: Path) -> Iterator[Stack]:
    """A product that runs, with a stored file and messages."""
    (place / "first").mkdir(mode=0o711)
    running = Stack(place / "first")
    running.start()
    with running.client() as client:
        made = client.post("/api/v1/knowledge/sources", files={"file": ("tiles.md", b"# Tiles\n\nTiles weigh 12 kg.")})
        assert made.status_code == 202
    yield running
    running.stop()


@pytest.fixture(scope="module")
def made(source: Stack, place: Path) -> dict[str, Any]:
    """A backup made under load, and what was acknowledged before it began."""
    writers = Writers(source)
    while len(writers.acknowledged) < 2 * MESSAGES_PER_S:
        time.sleep(0.1)
    began = time.monotonic()
    file = place / "backup.nlps"
    done = manage(source.data, "backup", str(file), "--json")
    took = time.monotonic() - began
    writers.end()
    assert done.returncode == 0, done.stdout + done.stderr
    during = sum(at >= began for at, _ in writers.acknowledged)
    print(f"backup: {took:.1f} s, {during / took:.1f} messages a second meanwhile, {file.stat().st_size} bytes")
    before = {id for at, id in writers.acknowledged if at < began}
    return {**json.loads(done.stdout), "file": file, "before": before, "during": during}


@pytest.fixture(scope="module")
def restored(made: dict[str, Any], place: Path) -> Iterator[Stack]:
    """The backup in a new place, started."""
    (place / "second").mkdir(mode=0o711)
    running = Stack(place / "second")
    # Spares the rewriting of the model; such a folder counts as empty.
    shutil.copytree(place / "first" / "data" / "models", running.data / "models")
    done = manage(running.data, "restore", str(made["file"]), "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    try:
        running.start()
        yield running
    finally:
        running.stop()


def test_the_product_took_messages_while_the_backup_was_made(made: dict[str, Any]) -> None:
    assert made["during"] > 0
    assert made["files_missing"] == []


def test_a_backup_is_private_and_leaves_nothing_beside_it(made: dict[str, Any], source: Stack) -> None:
    assert stat.S_IMODE(made["file"].stat().st_mode) == 0o600
    assert [path.name for path in made["file"].parent.glob(".*")] == []
    assert list((source.data / "files").glob(".backup-*")) == []


def test_the_key_and_the_secrets_are_not_in_the_file_in_clear(made: dict[str, Any], source: Stack) -> None:
    content = made["file"].read_bytes()
    secrets = json.loads((source.data / "secrets.json").read_text())
    assert [name for name, value in {**secrets, "key": KEY}.items() if value.encode() in content] == []


def test_a_backup_verifies(made: dict[str, Any]) -> None:
    # Without an installation: on whatever machine the copy is kept.
    done = manage(made["file"].parent / "nowhere", "backup_verify", str(made["file"]), "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["rows"] == made["rows"]


@pytest.mark.parametrize("command", ["backup_verify", "restore"])
def test_another_key_is_refused_with_its_own_status(made: dict[str, Any], command: str, tmp_path: Path) -> None:
    done = manage(tmp_path / "data", command, str(made["file"]), BACKUP_KEY="another passphrase")
    assert done.returncode == 3
    assert "not the key" in done.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("command", ["backup_verify", "restore"])
def test_a_cut_file_is_refused_with_its_own_status(made: dict[str, Any], command: str, tmp_path: Path) -> None:
    cut = tmp_path / "cut"
    cut.write_bytes(made["file"].read_bytes()[: made["size_bytes"] * 2 // 3])
    done = manage(tmp_path / "data", command, str(cut))
    assert done.returncode == 4
    assert "cut" in done.stderr
    assert not (tmp_path / "data").exists()


def test_a_flipped_byte_is_refused_with_its_own_status(made: dict[str, Any], tmp_path: Path) -> None:
    content = bytearray(made["file"].read_bytes())
    content[len(content) // 2] ^= 0x10
    (tmp_path / "flipped").write_bytes(content)
    done = manage(tmp_path / "data", "restore", str(tmp_path / "flipped"))
    assert done.returncode == 4
    assert not (tmp_path / "data").exists()


def test_another_file_is_no_backup(tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(b"PK\x03\x04 something else")
    assert manage(tmp_path / "data", "restore", str(tmp_path / "other")).returncode == 5


def test_a_place_that_is_not_empty_is_refused_and_left_alone(made: dict[str, Any], source: Stack) -> None:
    before = (source.data / "secrets.json").read_text()
    done = manage(source.data, "restore", str(made["file"]))
    assert done.returncode == 6
    assert "not empty" in done.stderr
    assert (source.data / "secrets.json").read_text() == before


def test_a_file_that_is_no_backup_is_not_written_over(source: Stack, tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("Dear Ana")
    done = manage(source.data, "backup", str(tmp_path / "letter.txt"))
    assert done.returncode == 6
    assert (tmp_path / "letter.txt").read_text() == "Dear Ana"


def test_every_row_that_was_acknowledged_before_is_restored(made: dict[str, Any], restored: Stack) -> None:
    there = {str(id) for (id,) in restored.query("SELECT id FROM conversations_message")}
    assert made["before"] - there == set()


@pytest.mark.parametrize("table", UNCHANGING)
def test_restored_rows_are_those_that_lived_on(
    table: str, source: Stack, restored: Stack, made: dict[str, Any]
) -> None:
    """Row by row: each restored row is, value for value, one of the source; those of the restored product are newer."""
    columns = UNCHANGING[table]
    wanted = f"SELECT id, row({columns})::text FROM {table}"
    until = f" WHERE created_at < '{made['snapshot_at']}'" if "created_at" in columns else ""
    lived = dict(source.query(wanted + until))
    back = dict(restored.query(wanted + until))
    assert len(back) > 0
    assert {id for id, row in back.items() if lived.get(id) != row} == set()


def test_messages_of_a_restored_conversation_have_no_gap(restored: Stack) -> None:
    gaps = restored.query(
        "SELECT conversation_id FROM conversations_message GROUP BY conversation_id HAVING max(seq) <> count(*)"
    )
    assert gaps == []


def test_every_file_that_a_restored_row_names_is_there_and_private(restored: Stack) -> None:
    names = [name for (name,) in restored.query("SELECT storage_name FROM knowledge_sourcefile")]
    assert len(names) > 0
    modes = {stat.S_IMODE((restored.data / "files" / name).stat().st_mode) for name in names}
    assert modes == {0o600}


def test_the_walls_are_restored(source: Stack, restored: Stack) -> None:
    catalogue = "SELECT tablename, policyname, qual, with_check FROM pg_policies ORDER BY 1, 2"
    assert restored.query(catalogue) == source.query(catalogue)
    forced = "SELECT relname, relrowsecurity, relforcerowsecurity FROM pg_class WHERE relkind = 'r' ORDER BY relname"
    assert restored.query(forced) == source.query(forced)


def test_the_restored_product_answers_a_visitor_from_its_knowledge(restored: Stack) -> None:
    with connect(restored.base.replace("http", "ws") + "/ws/widget", origin=restored.base) as socket:  # type: ignore[arg-type]
        socket.send(json.dumps({"type": "hello", "widget_token": restored.demo["widget_token"]}))
        welcome = json.loads(socket.recv(30))
        assert welcome["type"] == "welcome", welcome
        text = "How do I put the chat widget on my web site?"
        socket.send(json.dumps({"type": "message", "client_id": str(uuid.uuid4()), "text": text}))
        frames = iter(lambda: json.loads(socket.recv(120)), None)
        end = next(frame for frame in frames if frame["type"] == "reply.end")
    assert end["status"] == "done"
    assert end["message"]["text"]


def test_a_backup_of_the_restored_product_needs_no_key_given(restored: Stack, tmp_path: Path) -> None:
    """Without a key one is made and kept, and the file can be verified with it."""
    done = manage(restored.data, "backup", str(tmp_path / "again"), BACKUP_KEY="")
    assert done.returncode == 0, done.stderr
    key = restored.data / "backup.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert key.read_text().strip() not in done.stdout + done.stderr
    checked = manage(
        tmp_path / "nowhere", "backup_verify", str(tmp_path / "again"), "--key-file", str(key), BACKUP_KEY=""
    )
    assert checked.returncode == 0, checked.stderr


def test_nothing_below_the_data_folder_is_open_to_others(restored: Stack) -> None:
    """What PostgreSQL's user passes through may be passed through, not listed; its socket asks for a password."""
    passage = {restored.data, restored.data / "run", restored.data / "postgres"}
    found = [
        f"{stat.S_IMODE(path.lstat().st_mode):o} {path.relative_to(restored.data)}"
        for path in restored.data.rglob("*")
        if path.lstat().st_mode & 0o077 and not stat.S_ISSOCK(path.lstat().st_mode) and path not in passage
    ]
    assert found == []
    assert restored.data.stat().st_mode & 0o066 == 0


def test_a_stop_in_the_middle_of_work_warns_of_nothing(source: Stack) -> None:
    with source.client() as client:
        items = [f"Text number {number} is neither good nor bad." for number in range(3000)]
        assert client.post("/api/v1/jobs", json={"task": "sentiment", "items": items}).status_code == 202
        pages = {"file": ("long.md", b"# Long\n\n" + b"The world is round and green. " * 20_000)}
        assert client.post("/api/v1/knowledge/sources", files=pages).status_code == 202
        for number in range(4):
            made = client.post("/api/v1/conversations", json={"contact": {"name": f"V{number}"}}).json()
            body = {"text": "How do I put the chat widget on my web site?", "role": "contact"}
            assert client.post(f"/api/v1/conversations/{made['id']}/messages", json=body).status_code == 201
    _wait_for_work(source)
    before = len(source.log())
    source.stop()
    said = source.log()[before:].splitlines()
    levels = ("warning", "error", "critical")
    assert [line for line in said if any(f'"level": "{level}"' in line for level in levels)] == []
    assert [line for line in said if "Traceback" in line] == []


def _wait_for_work(stack: Stack, patience_s: float = 120) -> None:
    deadline = time.monotonic() + patience_s
    running = "SELECT count(DISTINCT job_id) FROM jobs_jobdispatch WHERE status = 'running'"
    while stack.query(running)[0][0] < 2:
        assert time.monotonic() < deadline, "no jobs run"
        time.sleep(0.05)
