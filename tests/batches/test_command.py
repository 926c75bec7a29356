"""Batches in the terminal."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from apps.batches.management.commands.batch import bar_line
from apps.batches.selectors.batches import batch_get
from tests.batches.calls import batch_start, jobs_run
from tests.conftest import ApiClient

pytestmark = pytest.mark.django_db(transaction=True)


def _command(*arguments: str) -> str:
    out = io.StringIO()
    call_command("batch", *arguments, "--org", "acme", stdout=out)
    return out.getvalue()


def test_the_command_runs_a_file_and_saves_the_results(
    tenant: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: jobs_run())
    (tmp_path / "in.csv").write_text("words\nGood morning to everybody\nGuten Morgen zusammen\n")
    made = json.loads(
        _command("run", str(tmp_path / "in.csv"), "--task", "language", "--json", "--out", str(tmp_path / "out.csv"))
    )
    assert (made["status"], made["done"]) == ("done", 2)
    rows = list(csv.DictReader((tmp_path / "out.csv").open()))
    assert [row["label"] for row in rows] == ["en", "de"]
    assert "2 of 2 rows" in _command("list")
    assert json.loads(_command("show", made["id"], "--json"))["id"] == made["id"]


def test_the_command_pauses_resumes_cancels_and_deletes(tenant: Any, api: ApiClient) -> None:
    batch_id = batch_start(api, ["x"])
    assert "paused" in _command("pause", batch_id)
    assert "queued" in _command("resume", batch_id)
    assert "cancelled" in _command("cancel", batch_id)
    assert _command("delete", batch_id) == ""
    with pytest.raises(CommandError, match="batch_not_found"):
        _command("show", batch_id)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "/nowhere.csv"], "is not there"),
        (["run", __file__, "--options", "{"], "no JSON"),
        (["run", __file__, "--task", "nothing"], "task_not_found"),
        (["save", "x"], "batch_not_found"),
    ],
)
def test_the_command_says_what_is_wrong(tenant: Any, arguments: list[str], said: str) -> None:
    with pytest.raises(CommandError, match=said):
        _command(*arguments)


def test_the_bar_shows_rate_and_time_left(tenant: Any, api: ApiClient) -> None:
    info = batch_get(tenant_id=tenant.id, batch_id=batch_start(api, ["x"]))
    running = replace(info, status="running", total=1000, done=250, rate_per_s=10.0)
    assert bar_line(running, width=4).endswith("[█···]  25%  250 of 1,000, 10 rows/s, 1:15 left")
