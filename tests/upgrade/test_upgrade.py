"""B8: data that an older version made comes up on this one, and the main job runs on it.

`python -m tests.upgrade.make COMMIT` makes an archive; each one beside this file is tried.
"""

from __future__ import annotations

import json
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import ClientConnection, connect

from nlpsuite.backup.dump import database_load
from nlpsuite.backup.server import server_new
from nlpsuite.settings.env import runtime_dir
from tests.backup.test_backup import manage
from tests.stack import Stack

pytestmark = [pytest.mark.stack, pytest.mark.models, pytest.mark.timeout(1500)]
ARCHIVES = sorted(Path(__file__).parent.glob("*.tar"))
MAX_ARCHIVE_BYTES = 300_000
FRAME_S = 120


def _unpack(archive: Path, folder: Path) -> None:
    """Make `folder` an installation of the older version that was stopped."""
    folder.chmod(0o711)
    folder.parent.chmod(0o711)
    with tarfile.open(archive) as opened:
        # Our own archive; `filter="data"` came with Python 3.11.4.
        opened.extractall(folder)
    data = folder / "data"
    secrets = json.loads((data / "secrets.json").read_text())
    with server_new(data, runtime_dir(data), secrets) as server:
        database_load(server, iter([(folder / "database.dump").read_bytes()]))


@pytest.fixture(scope="module", params=ARCHIVES, ids=lambda path: path.stem)
def upgraded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """This version, started on the data of an older one."""
    folder = tmp_path_factory.mktemp("upgrade")
    _unpack(request.param, folder)
    running = Stack(folder)
    running.start()
    yield running
    running.stop()


@pytest.fixture
def story(upgraded: Stack) -> dict[str, Any]:
    """What was said in the older version."""
    return json.loads((upgraded.folder / "story.json").read_text())


def test_there_is_data_of_an_older_version_and_it_is_small() -> None:
    assert ARCHIVES
    assert [path.name for path in ARCHIVES if path.stat().st_size > MAX_ARCHIVE_BYTES] == []


@pytest.mark.parametrize("archive", ARCHIVES, ids=lambda path: path.stem)
def test_a_backup_of_an_older_version_is_restored_and_brought_up(archive: Path, tmp_path: Path) -> None:
    """Of an installation that rests: its PostgreSQL is started for the backup and stopped again."""
    _unpack(archive, tmp_path)
    made = manage(tmp_path / "data", "backup", str(tmp_path / "backup"), "--json")
    assert made.returncode == 0, made.stderr
    back = manage(tmp_path / "restored", "restore", str(tmp_path / "backup"), "--json")
    assert back.returncode == 0, back.stderr
    assert json.loads(back.stdout)["rows"] == json.loads(made.stdout)["rows"]
    assert json.loads(back.stdout)["migrated"] > 0


def test_every_migration_has_run(upgraded: Stack) -> None:
    done = manage(upgraded.data, "migrate", "--check", DB_ROLE="app_owner")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_owner_signs_in_with_the_password_of_before(upgraded: Stack) -> None:
    owner = upgraded.demo["owner"]
    with httpx.Client(base_url=upgraded.base, follow_redirects=True, timeout=60) as browser:
        page = browser.get("/accounts/login/")
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
        assert token is not None
        form = {"login": owner["email"], "password": owner["password"], "csrfmiddlewaretoken": token[1]}
        answer = browser.post("/accounts/login/", data=form, headers={"Referer": upgraded.base})
        assert (answer.status_code, answer.url.path) == (200, "/inbox/")


def test_conversations_of_before_are_listed_with_the_key_of_before(upgraded: Stack, story: dict[str, Any]) -> None:
    with upgraded.client() as client:
        listed = client.get("/api/v1/conversations").json()["items"]
        assert story["conversation_id"] in [one["id"] for one in listed]
        messages = client.get(f"/api/v1/conversations/{story['conversation_id']}/messages").json()["items"]
    assert [message["text"] for message in messages][:2] == [story["question"], story["answer"]]


def _frames(socket: ClientConnection, kind: str) -> dict[str, Any]:
    return next(frame for frame in iter(lambda: json.loads(socket.recv(FRAME_S)), None) if frame["type"] == kind)


def test_a_visitor_goes_on_with_the_conversation_of_before(upgraded: Stack, story: dict[str, Any]) -> None:
    with connect(upgraded.base.replace("http", "ws") + "/ws/widget", origin=upgraded.base) as socket:  # type: ignore[arg-type]
        hello = {name: story[name] for name in ("visitor_token", "conversation_id")}
        socket.send(json.dumps({"type": "hello", "widget_token": upgraded.demo["widget_token"], **hello}))
        welcome = _frames(socket, "welcome")
        assert welcome["conversation_id"] == story["conversation_id"]
        assert [message["text"] for message in welcome["messages"]][:2] == [story["question"], story["answer"]]
        client_id = "4f4f2a60-9d0e-4b7d-8c37-3f9f4a1c2b11"
        socket.send(json.dumps({"type": "message", "client_id": client_id, "text": "Are returns of tiles free?"}))
        end = _frames(socket, "reply.end")
    assert end["status"] == "done"
    assert end["message"]["text"]


def test_knowledge_of_before_is_found(upgraded: Stack) -> None:
    with upgraded.client() as client:
        found = client.get("/api/v1/knowledge/search", params={"q": "For how long are returns free?", "k": 3}).json()
    assert "45 days" in found["results"][0]["text"]


def test_files_of_before_can_be_read_again(upgraded: Stack) -> None:
    names = upgraded.query("SELECT storage_name, size_bytes FROM knowledge_sourcefile")
    sizes = {name: (upgraded.data / "files" / name).stat().st_size for name, _ in names}
    assert sizes == dict(names)


def test_nothing_was_logged_as_an_error(upgraded: Stack) -> None:
    lines = [
        line for line in upgraded.log().splitlines() if '"level": "error"' in line or '"level": "critical"' in line
    ]
    assert lines == []
