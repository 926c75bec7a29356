"""`manage.py models`: its rows, its exit status, and what it shows on a terminal."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import redis
from django.core.management import call_command

from apps.inference.catalogue import MINILM
from apps.inference.engine.memory import memory_needed_mb
from apps.inference.engine.weights import weights_locate
from apps.inference.services import catalogue
from apps.inference.services.stats import stats_publish
from tests.inference import workers

EMBEDDER = MINILM.name


def _run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, list[dict[str, Any]]]:
    """Exit status and rows of the command with --json."""
    status = 0
    try:
        call_command("models", *arguments, "--json")
    except SystemExit as end:
        status = int(str(end.code))
    return status, json.loads(capsys.readouterr().out)


@pytest.fixture
def copied(settings: Any, tmp_path: Path) -> Path:
    """A copy of the embedding model, which is in the catalogue as "copy"."""
    folder = tmp_path / "model"
    shutil.copytree(weights_locate(MINILM), folder)
    fields = ("role", "backend", "revision", "licence", "context_tokens", "dim")
    entry = {name: getattr(MINILM, name) for name in fields}
    entry |= {"name": "copy", "source": f"path:{folder}", "files": dict(MINILM.files)}
    settings.DATA_DIR = tmp_path
    settings.INFERENCE_CATALOGUE = tmp_path / "catalogue.json"
    settings.INFERENCE_CATALOGUE.write_text(json.dumps({"models": [entry]}))
    return folder


# -- list ------------------------------------------------------------------------------------------------------------
def test_list_keeps_the_names_of_its_fields(capsys: pytest.CaptureFixture[str], valkey: redis.Redis) -> None:
    status, rows = _run(capsys, "list")
    assert status == 0
    old = {"name", "role", "default", "backend", "source", "revision", "licence", "max_tokens", "dim"}
    new = {"state", "memory_mb", "capabilities", "labels", "languages", "adapters"}
    assert {frozenset(row) for row in rows} == {frozenset(old | new)}


def test_list_says_what_a_worker_has_loaded(capsys: pytest.CaptureFixture[str], valkey: redis.Redis) -> None:
    stats_publish("host:7", workers.info(all_minilm_l6_v2=workers.embedding_model()))
    states = {row["name"]: row["state"] for row in _run(capsys, "list")[1]}
    assert states.pop(EMBEDDER) == "ready"
    assert set(states.values()) == {""}


def test_list_works_without_redis(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    lost = redis.Redis.from_url("redis://127.0.0.1:1", socket_connect_timeout=0.2)
    monkeypatch.setattr("apps.inference.services.stats.redis_client", lambda: lost)
    status, rows = _run(capsys, "list")
    assert status == 0
    assert {row["state"] for row in rows} == {""}


def test_list_estimates_the_memory_of_what_is_on_the_machine(
    capsys: pytest.CaptureFixture[str], copied: Path, valkey: redis.Redis
) -> None:
    shutil.rmtree(copied)
    memory = {row["name"]: row["memory_mb"] for row in _run(capsys, "list")[1]}
    assert memory[EMBEDDER] == memory_needed_mb(MINILM)
    assert memory["copy"] is None


def test_json_may_be_asked_for_before_the_action(capsys: pytest.CaptureFixture[str], valkey: redis.Redis) -> None:
    call_command("models", "--json", "list")
    assert json.loads(capsys.readouterr().out)


def test_the_table_has_the_columns_that_fit_a_terminal(capsys: pytest.CaptureFixture[str], valkey: redis.Redis) -> None:
    call_command("models", "list")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == [
        "name",
        "role",
        "default",
        "state",
        "backend",
        "revision",
        "memory_mb",
        "max_tokens",
        "can",
    ]
    assert len(lines) == 1 + len(catalogue().models)


# -- verify ----------------------------------------------------------------------------------------------------------
def test_verify_takes_names(capsys: pytest.CaptureFixture[str], copied: Path) -> None:
    status, rows = _run(capsys, "verify", "copy")
    assert (status, [(row["name"], row["status"]) for row in rows]) == (0, [("copy", "ok")])
    assert rows[0]["memory_mb"] == memory_needed_mb(MINILM)


def test_verify_reads_files_again_whose_size_and_time_are_as_before(
    capsys: pytest.CaptureFixture[str], copied: Path
) -> None:
    """A disk that goes bad changes neither."""
    assert _run(capsys, "verify", "copy")[0] == 0
    path = copied / "model.safetensors"
    before = path.stat()
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    status, rows = _run(capsys, "verify", "copy")
    assert (status, rows[0]["status"]) == (1, "wrong")
    assert "install the model again" in rows[0]["detail"]


@pytest.mark.parametrize(
    ("memory_mb", "status", "words"),
    [(60, 3, "too large"), (100_000, 0, "ok")],
)
def test_verify_says_what_does_not_fit(
    capsys: pytest.CaptureFixture[str], copied: Path, settings: Any, memory_mb: int, status: int, words: str
) -> None:
    settings.INFERENCE_MEMORY_MB = memory_mb
    found, rows = _run(capsys, "verify", "copy")
    assert (found, rows[0]["status"]) == (status, words)


def test_verify_says_when_the_defaults_do_not_fit_together(
    capsys: pytest.CaptureFixture[str], settings: Any, data_dir: Path
) -> None:
    settings.DATA_DIR = data_dir
    known = catalogue()
    defaults = [memory_needed_mb(known.default(role)) for role in ("chat", "embedding")]
    largest = max(memory_needed_mb(spec) for spec in known.models.values())
    settings.INFERENCE_MEMORY_MB = max(largest, sum(defaults) - 1)
    status, rows = _run(capsys, "verify")
    assert {row["status"] for row in rows[:-1]} <= {"ok", "remote"}
    assert (status, rows[-1]["name"], rows[-1]["status"]) == (3, "defaults", "too large")
    assert "raise INFERENCE_MEMORY_MB" in rows[-1]["detail"]


def test_the_exit_status_is_that_of_the_worst(capsys: pytest.CaptureFixture[str], copied: Path, settings: Any) -> None:
    shutil.rmtree(copied)
    settings.INFERENCE_MEMORY_MB = 60
    status, rows = _run(capsys, "verify", "copy", EMBEDDER)
    assert (status, [row["status"] for row in rows]) == (3, ["missing", "too large"])
    settings.INFERENCE_MEMORY_MB = 100_000
    assert _run(capsys, "verify", "copy", EMBEDDER)[0] == 2


class _Terminal:
    """Stands in for stderr on a terminal."""

    def __init__(self) -> None:
        self.text = ""

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> None:
        self.text += text

    def flush(self) -> None:
        pass


@pytest.mark.parametrize(("arguments", "shown"), [((), True), (("--json",), False)])
def test_progress_is_for_terminals(
    copied: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], shown: bool
) -> None:
    terminal = _Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    call_command("models", "verify", "copy", *arguments)
    assert ("copy: model.safetensors 100 %" in terminal.text) is shown
    assert bool(terminal.text) is shown


def test_a_name_that_is_not_there_names_those_that_are(capsys: pytest.CaptureFixture[str]) -> None:
    status, rows = _run(capsys, "warm", "no-such-model")
    assert status == 1
    assert EMBEDDER in rows[0]["detail"]


# -- warm ------------------------------------------------------------------------------------------------------------
@pytest.mark.models
def test_warm_runs_the_model_it_is_given_and_measures_it(
    capsys: pytest.CaptureFixture[str], settings: Any, data_dir: Path
) -> None:
    settings.DATA_DIR = data_dir
    status, rows = _run(capsys, "warm", EMBEDDER)
    assert status == 0
    assert [(row["name"], row["status"], row["detail"]) for row in rows] == [(EMBEDDER, "ok", "384 dimensions")]
    assert rows[0]["measured_mb"] >= 0
    assert set(rows[0]) == {"name", "status", "first_ms", "detail", "load_s", "memory_mb", "measured_mb"}


@pytest.mark.models
def test_warm_goes_on_after_a_model_that_does_not_run(capsys: pytest.CaptureFixture[str], copied: Path) -> None:
    (copied / "tokenizer.json").unlink()
    status, rows = _run(capsys, "warm", "copy", EMBEDDER)
    assert (status, [row["status"] for row in rows]) == (2, ["missing", "ok"])
