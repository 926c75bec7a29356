"""How far the change to another encoder is, as `manage.py vectors` and the knowledge page say it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import Client
from django.utils.translation import trans_real

from apps.core.tenancy import tenant_scope
from apps.inference.models import VectorSpace
from apps.inference.services import PASSAGES, spaces_follow
from apps.jobs.models import Job
from apps.jobs.services import job_run
from apps.knowledge.models import ChunkVector
from tests.knowledge.conftest import Choose

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("subjects")]
OLD, NEW = "all-minilm-l6-v2@0.1.0", "turned@1"


@pytest.fixture(autouse=True)
def hints(monkeypatch: pytest.MonkeyPatch, encoder: Any) -> None:
    """The test is the broker, and the stand-in encodes for the background too."""
    monkeypatch.setattr("apps.jobs.services.enqueue.broker_hint", lambda job_id, queue: None)
    monkeypatch.setattr("apps.inference.services.space_building.embed_texts", encoder)


@pytest.fixture
def change(choose: Choose) -> None:
    """Another encoder is the default, and its space is to be made."""
    choose("turned")
    spaces_follow()


def _run(capsys: Any, *arguments: str) -> str:
    call_command("vectors", *arguments)
    return str(capsys.readouterr().out)


def _half_done(tenant: Any) -> None:
    """Two of the four passages have their vector in the new space."""
    with tenant_scope(tenant.id):
        for row in ChunkVector.objects.order_by("id")[:2]:
            ChunkVector.objects.create(
                chunk_id=row.chunk_id, collection=row.collection, space=NEW, embed_sha256="x", embedding=row.embedding
            )


def _build(tenant: Any) -> None:
    with tenant_scope(tenant.id):
        ids = list(Job.objects.filter(kind="knowledge.vectors_build").values_list("id", flat=True))
    for job_id in ids:
        job_run(job_id)


def _state(tenant: Any) -> VectorSpace:
    with tenant_scope(tenant.id):
        return VectorSpace.objects.get(holder=PASSAGES)


# -- manage.py vectors -----------------------------------------------------------------------------------------------
def test_the_command_says_what_serves(tenant: Any, capsys: Any) -> None:
    assert _run(capsys).splitlines() == [f"{tenant.slug:20} passages         4 texts, searched with {OLD}"]


def test_the_command_shows_a_bar_of_the_change(tenant: Any, change: None, capsys: Any) -> None:
    _half_done(tenant)
    line = _run(capsys, "--org", tenant.slug)
    assert f"searched with {OLD}; [###############...............]  50% 2/4 {NEW}" in line


def test_the_command_prints_json(tenant: Any, other_tenant: Any, change: None, capsys: Any) -> None:
    _half_done(tenant)
    (row,) = json.loads(_run(capsys, "--json"))
    wanted = {"organization": tenant.slug, "holder": "passages", "serving": OLD, "building": NEW, "done": 2, "total": 4}
    assert row | wanted | {"progress": 0.5, "paused": False, "error": None, "search": "meaning"} == row


def test_the_command_pauses_and_resumes(tenant: Any, change: None, capsys: Any) -> None:
    paused = _run(capsys, "--org", tenant.slug, "--pause")
    assert (_state(tenant).paused, f"0/4 {NEW}, paused" in paused, spaces_follow()) == (True, True, 0)
    resumed = _run(capsys, "--org", tenant.slug, "--resume")
    _build(tenant)
    assert (", paused" in resumed, _state(tenant).paused, _state(tenant).serving) == (False, False, NEW)


def test_the_command_watches_until_the_change_is_complete(
    tenant: Any, change: None, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker is this test, between two looks."""
    monkeypatch.setattr("apps.inference.management.commands.vectors.time.sleep", lambda seconds: _build(tenant))
    assert f"searched with {NEW}" in _run(capsys, "--watch")


def test_the_command_gives_up_watching_in_time(tenant: Any, change: None) -> None:
    with pytest.raises(CommandError, match="Not complete") as caught:
        call_command("vectors", "--watch", "--timeout", "0")
    assert caught.value.returncode == 2


def test_the_command_refuses_an_organisation_that_is_not_there() -> None:
    with pytest.raises(CommandError, match="not_found") as caught:
        call_command("vectors", "--org", "nobody")
    assert caught.value.returncode == 1


def test_the_command_fails_where_a_search_goes_by_words(tenant: Any, choose: Choose, capsys: Any) -> None:
    choose("turned", without=True)
    with pytest.raises(CommandError, match="by words") as caught:
        call_command("vectors")
    assert caught.value.returncode == 3
    assert f"searched by words, not with {OLD}" in capsys.readouterr().out


# -- the knowledge page ----------------------------------------------------------------------------------------------
@pytest.fixture
def page(member: Any) -> Client:
    call_command("compile_catalogs")
    trans_real._translations.clear()
    client = Client(headers={"Host": "127.0.0.1"})
    client.force_login(member, backend="django.contrib.auth.backends.ModelBackend")
    return client


def _shown(page: Client, path: str, language: str = "en") -> str:
    answer = page.get(path, headers={"Accept-Language": language})
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


@pytest.mark.parametrize("path", ["/knowledge/", "/knowledge/rows"])
@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "The passages are being computed for another embedding model: 2 of 4."),
        ("zh-hans", "正在用另一个嵌入模型重新计算段落：已完成 2 / 4。"),
    ],
)
def test_the_page_shows_how_far_the_change_is(
    tenant: Any, change: None, page: Client, path: str, language: str, text: str
) -> None:
    _half_done(tenant)
    shown = _shown(page, path, language)
    assert text in shown
    assert '<progress class="progress" max="4" value="2"' in shown
    assert 'role="status" data-active' in shown


def test_the_page_says_when_the_change_is_paused(tenant: Any, change: None, page: Client, capsys: Any) -> None:
    _run(capsys, "--pause")
    shown = _shown(page, "/knowledge/rows")
    assert ("This is paused." in shown, "data-active" in shown) == (True, False)


def test_the_page_says_when_the_old_model_is_gone(tenant: Any, choose: Choose, page: Client) -> None:
    choose("turned", without=True)
    spaces_follow()
    assert "found by their words alone" in _shown(page, "/knowledge/rows")


def test_the_page_says_nothing_when_there_is_no_change(page: Client) -> None:
    assert "being computed" not in _shown(page, "/knowledge/rows")
