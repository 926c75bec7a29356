"""Make the data of an older version for the test of upgrading: `python -m tests.upgrade.make COMMIT`.

Starts that commit's product in a git worktree of its own, with this environment's packages, lets a visitor talk to the
bot and an owner add a text, and keeps database, files, secrets and what was said in `tests/upgrade/<commit>.tar`. One page
of the guide is read instead of all, which keeps the archive small. The secrets are those of an installation that is gone.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

import httpx
from websockets.sync.client import connect

from nlpsuite.backup.dump import database_dump
from nlpsuite.backup.progress import Progress
from nlpsuite.backup.server import Server, server_new
from nlpsuite.settings.env import runtime_dir
from tests.stack import ROOT, free_port

PAGE = "widget.md"
QUESTION = "How do I put the chat widget on my web site?"
TEXT = "Returns are free for 45 days. Broken tiles are replaced without a return."
# Of the older commit: a model that its product starts on every processor.
CATALOGUE: dict[str, Any] = {"models": [], "defaults": {"chat": "smollm2-135m-instruct-llama"}}
PATIENCE_S = 900


def main() -> None:
    commit = subprocess.run(
        ["git", "rev-parse", "--short", sys.argv[1]], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.strip()
    folder = Path(tempfile.mkdtemp(prefix="nlpsuite-upgrade-"))
    folder.chmod(0o711)
    tree, data = folder / "tree", folder / "data"
    subprocess.run(["git", "worktree", "add", "--detach", str(tree), commit], cwd=ROOT, check=True)
    try:
        for page in (tree / "docs" / "guide").glob("*.md"):
            _ = page.name == PAGE or page.unlink()
        story = _live(tree, data, folder)
        target = Path(__file__).with_name(f"{commit}.tar")
        _keep(data, story, target)
        print(f"{target}: {target.stat().st_size} bytes")
    finally:
        subprocess.run(["git", "worktree", "remove", "--force", str(tree)], cwd=ROOT, check=False)
        shutil.rmtree(folder, ignore_errors=True)


def _live(tree: Path, data: Path, folder: Path) -> dict[str, Any]:
    """Run the older product and return what was said in it."""
    port = free_port()
    (folder / "catalogue.json").write_text(json.dumps(CATALOGUE))
    environment = {
        **os.environ,
        "DATA_DIR": str(data),
        "PORT": str(port),
        "INFERENCE_CATALOGUE": str(folder / "catalogue.json"),
    }
    log = folder / "up.log"
    with log.open("wb") as output:
        running = subprocess.Popen(
            [sys.executable, "manage.py", "up"], cwd=tree, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        deadline = time.monotonic() + PATIENCE_S
        while "Ready: " not in log.read_text(errors="replace"):
            if running.poll() is not None or time.monotonic() > deadline:
                raise SystemExit("the older product did not start:\n" + log.read_text(errors="replace")[-3000:])
            time.sleep(0.5)
        return _talk(f"http://127.0.0.1:{port}", json.loads((data / "demo.json").read_text()))
    finally:
        running.send_signal(signal.SIGTERM)
        running.wait(60)


def _talk(base: str, demo: dict[str, Any]) -> dict[str, Any]:
    with connect(base.replace("http", "ws") + "/ws/widget", origin=base) as socket:  # type: ignore[arg-type]
        socket.send(json.dumps({"type": "hello", "widget_token": demo["widget_token"]}))
        welcome = json.loads(socket.recv(60))
        socket.send(json.dumps({"type": "message", "client_id": str(uuid.uuid4()), "text": QUESTION}))
        end = next(frame for frame in iter(lambda: json.loads(socket.recv(300)), None) if frame["type"] == "reply.end")
    with httpx.Client(base_url=base, headers={"Authorization": f"Bearer {demo['api_key']}"}, timeout=120) as client:
        made = client.post("/api/v1/knowledge/sources", json={"title": "Returns", "text": TEXT}).json()
        deadline = time.monotonic() + PATIENCE_S
        while client.get(f"/api/v1/knowledge/sources/{made['id']}").json()["status"] != "ready":
            if time.monotonic() > deadline:
                raise SystemExit("the text was not read")
            time.sleep(0.5)
    return {
        "visitor_token": welcome["visitor_token"],
        "conversation_id": welcome["conversation_id"],
        "question": QUESTION,
        "answer": end["message"]["text"],
    }


def _keep(data: Path, story: dict[str, Any], target: Path) -> None:
    secrets = json.loads((data / "secrets.json").read_text())
    with tarfile.open(target, "w") as archive, server_new(data, runtime_dir(data), secrets) as server:
        for name, content in {
            "data/secrets.json": (data / "secrets.json").read_bytes(),
            "data/demo.json": (data / "demo.json").read_bytes(),
            "story.json": json.dumps(story).encode(),
            "database.dump": b"".join(_dump(server)),
        }.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
        archive.add(data / "files", "data/files")


def _dump(server: Server) -> Any:
    with server.connect() as reading:
        reading.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        row = reading.execute("SELECT pg_export_snapshot()").fetchone()
        assert row is not None
        yield from database_dump(server, snapshot=row[0], major=0, sizes={}, progress=Progress(quiet=True))


if __name__ == "__main__":
    main()
