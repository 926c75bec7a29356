"""K7: a full disk refuses what needs room, leaves nothing half written, says so, and lets chat go on.

On a disk of 8 MB of its own where the test may mount one; and everywhere with the operating system's own refusal put in
where files are written.
"""

from __future__ import annotations

import errno
import io
import os
import shutil
import subprocess
import tempfile
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from asgiref.testing import ApplicationCommunicator
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import OperationalError
from django.test import Client

from apps.core import storage
from apps.core.errors import StorageFull
from apps.core.storage import storage_is_full, storage_short
from nlpsuite.storage_gate import StorageGate
from tests.conftest import ApiClient

Usage = namedtuple("Usage", "total used free")
PAGE = b"# Tiles\n\nTiles weigh 12 kg."


@pytest.fixture
def small_disk(tmp_path: Path, settings: Any) -> Iterator[Path]:
    """8 MB for stored files, with no reserve: the disk itself refuses."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(place)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no disk can be mounted here: {mounted.stderr.strip()}")
    settings.MEDIA_ROOT = str(place)
    settings.STORAGE_RESERVE_MB = 0
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.fixture
def refusing_disk(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A disk that tells of room and makes files, but takes nothing into them, as one does that others are filling."""
    settings.MEDIA_ROOT = str(tmp_path / "files")
    monkeypatch.setattr("django.core.files.storage.filesystem.os.fdopen", _Full.opened)
    return tmp_path / "files"


class _Full(io.BytesIO):
    """A file of Django's storage on a full disk."""

    def __init__(self, handle: int) -> None:
        super().__init__()
        self._handle = handle

    @classmethod
    def opened(cls, handle: int, *_: Any, **__: Any) -> _Full:
        return cls(handle)

    def write(self, data: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    def close(self) -> None:
        if not self.closed:
            os.close(self._handle)
        super().close()


@pytest.fixture
def short_disk(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A disk with 5 MB left beside the usual reserve."""
    settings.MEDIA_ROOT = str(tmp_path / "files")
    monkeypatch.setattr(storage.shutil, "disk_usage", lambda _: Usage(10**9, 10**9 - 5_000_000, 5_000_000))
    return tmp_path / "files"


def files_in(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file()]


def upload(api: ApiClient, content: bytes = PAGE, path: str = "/api/v1/knowledge/sources", **fields: str) -> Any:
    return api._client.post(path, {"file": SimpleUploadedFile("tiles.md", content), **fields})


def test_a_full_disk_leaves_no_part_of_a_file(small_disk: Path) -> None:
    with pytest.raises(StorageFull):
        default_storage.save("tenant/large", ContentFile(b"x" * 9_000_000))
    assert files_in(small_disk) == []
    assert default_storage.save("tenant/small", ContentFile(b"y")) == "tenant/small"


@pytest.mark.django_db
def test_an_upload_to_a_full_disk_is_507(small_disk: Path, api: ApiClient) -> None:
    (small_disk / "filling").write_bytes(b"x" * (8 * 1024 * 1024 - 8192))
    answer = upload(api, PAGE * 2000)
    assert (answer.status_code, answer.json()["error"]["code"]) == (507, "storage_full")
    assert files_in(small_disk) == ["filling"]


def test_a_disk_that_fills_up_while_a_file_is_written_keeps_no_part(refusing_disk: Path) -> None:
    with pytest.raises(StorageFull):
        default_storage.save("tenant/file", ContentFile(b"x" * 100_000))
    assert files_in(refusing_disk) == []


def test_another_error_of_the_disk_is_not_called_full(refusing_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: _Full, data: Any) -> int:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(_Full, "write", broken)
    with pytest.raises(OSError, match="Input/output"):
        default_storage.save("tenant/file", ContentFile(b"x" * 100_000))
    assert files_in(refusing_disk) == []


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/api/v1/knowledge/sources", {}),
        ("/api/v1/jobs", {"task": "sentiment", "text_column": "text"}),
        ("/api/v1/analysis/translation/documents", {"source": "en", "target": "pt"}),
    ],
)
@pytest.mark.parametrize("disk", ["short_disk", "refusing_disk"])
def test_every_upload_of_the_api_is_507_and_leaves_nothing(
    path: str, fields: dict[str, str], disk: str, api: ApiClient, request: pytest.FixtureRequest
) -> None:
    folder = request.getfixturevalue(disk)
    content = b"text\nThe tiles are good.\n"
    name = "rows.csv" if path.endswith("jobs") else "tiles.md"
    answer = api._client.post(path, {"file": SimpleUploadedFile(name, content), **fields})
    assert (answer.status_code, answer.json()["error"]["code"]) == (507, "storage_full"), answer.content
    assert files_in(folder) == []


@pytest.mark.django_db
def test_a_written_text_is_refused_too(short_disk: Path, api: ApiClient) -> None:
    answer = api.post("/knowledge/sources", {"title": "Tiles", "text": "Tiles weigh 12 kg."})
    assert (answer.status_code, answer.json()["error"]["code"]) == (507, "storage_full")


@pytest.mark.django_db
def test_items_of_a_batch_are_refused_too(short_disk: Path, api: ApiClient) -> None:
    answer = api.post("/jobs", {"task": "sentiment", "items": ["good", "bad"]})
    assert (answer.status_code, answer.json()["error"]["code"]) == (507, "storage_full")


@pytest.mark.django_db
def test_chat_goes_on_beside_a_full_disk(short_disk: Path, api: ApiClient, inbox: Any) -> None:
    made = api.post("/conversations", {"contact": {"name": "Ana"}})
    posted = api.post(f"/conversations/{made.json()['id']}/messages", {"text": "Hello", "role": "contact"})
    assert (made.status_code, posted.status_code) == (201, 201)


@pytest.mark.django_db
def test_readiness_warns_of_the_disk_and_stays_what_it_was(short_disk: Path, client: Client) -> None:
    answer = client.get("/readyz", headers={"host": "127.0.0.1"})
    body = answer.json()
    assert body["warnings"] == ["storage_full"]
    assert body["storage"] == ["files", "temporary"]
    assert "storage" not in "".join(body.get("missing", []))


@pytest.mark.django_db
def test_readiness_says_nothing_of_a_disk_with_room(client: Client) -> None:
    assert "warnings" not in client.get("/readyz", headers={"host": "127.0.0.1"}).json()


def test_the_places_are_told_apart(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.MEDIA_ROOT = str(tmp_path / "files")
    temporary = tempfile.gettempdir()

    def usage(place: Any) -> Usage:
        free = 1_000_000 if str(place) == temporary else 10**12
        return Usage(10**13, 0, free)

    monkeypatch.setattr(storage.shutil, "disk_usage", usage)
    assert storage_short() == ["temporary"]


def test_a_full_database_is_a_full_disk() -> None:
    error = OperationalError("could not extend file")
    error.__cause__ = psycopg.errors.DiskFull("could not extend file: No space left on device")
    assert storage_is_full(error)
    assert not storage_is_full(OperationalError("server closed the connection"))


# -- before a body is received ---------------------------------------------------------------------------------------
async def _ask(app: Any, *, size: int | None, path: str = "/api/v1/knowledge/sources") -> list[dict[str, Any]]:
    told = [(b"transfer-encoding", b"chunked")] if size is None else [(b"content-length", b"%d" % size)]
    scope = {"type": "http", "method": "POST", "path": path, "headers": told}
    gate = StorageGate(
        app, upload_paths=("/api/v1/knowledge/sources",), shapes={"/v1/": lambda *said: {"shape": said[1]}}
    )
    talk = ApplicationCommunicator(gate, scope)
    await talk.send_input({"type": "http.request", "body": b"", "more_body": False})
    return [await talk.receive_output(5), await talk.receive_output(5)]


async def _fine(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"{}"})


async def _full_on_the_way(scope: Any, receive: Any, send: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(("size", "status"), [(4_000_000, 507), (None, 507), (1000, 200)])
async def test_a_large_body_is_refused_before_it_is_received(short_disk: Path, size: int | None, status: int) -> None:
    begin, _ = await _ask(_fine, size=size)
    assert begin["status"] == status


async def test_a_disk_that_fills_up_while_a_body_is_received_is_507() -> None:
    begin, body = await _ask(_full_on_the_way, size=10)
    assert begin["status"] == 507
    assert b"storage_full" in body["body"]


async def test_other_servers_routes_keep_their_shape() -> None:
    _, body = await _ask(_full_on_the_way, size=10, path="/v1/embeddings")
    assert body["body"] == b'{"shape": "storage_full"}'


async def test_another_error_is_not_taken_for_a_full_disk() -> None:
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with pytest.raises(OSError, match="Input/output"):
        await _ask(broken, size=10)


@pytest.mark.django_db
def test_a_page_whose_upload_cannot_be_received_answers_507(
    member: Any, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("django.core.files.uploadhandler.MemoryFileUploadHandler.handle_raw_input", full)
    client.raise_request_exception = False
    client.force_login(member if hasattr(member, "is_authenticated") else _user(member))
    page = SimpleUploadedFile("tiles.md", PAGE)
    answer = client.post("/knowledge/add", {"file": page}, headers={"host": "127.0.0.1"})
    assert answer.status_code == 507


def _user(member: Any) -> Any:
    from django.contrib.auth import get_user_model

    return get_user_model().objects.get(email=member.email)


def test_free_room_of_a_place_that_is_not_there_yet_is_its_parents(tmp_path: Path, settings: Any) -> None:
    settings.MEDIA_ROOT = str(tmp_path / "not" / "yet")
    assert storage.storage_rooms()["files"]["free_bytes"] == pytest.approx(shutil.disk_usage(tmp_path).free, rel=0.2)
