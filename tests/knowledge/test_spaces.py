"""Another encoder: spaces are never mixed, the old one serves until the new one is complete, nothing is lost."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from django.db import connection

from apps.core.clock import now
from apps.core.tenancy import tenant_scope
from apps.events.models import AuditEntry
from apps.inference.catalogue import MINILM
from apps.inference.models import VectorSpace
from apps.inference.services import (
    PASSAGES,
    catalogue,
    default_model,
    space_building,
    space_pause,
    space_resume,
    spaces_degraded,
    spaces_follow,
    spaces_list,
)
from apps.inference.types import EmbedResult
from apps.jobs.models import Job, JobDispatch
from apps.jobs.retention import jobs_prune
from apps.jobs.services import job_run, jobs_sweep
from apps.knowledge.models import Chunk, ChunkVector, Source
from apps.knowledge.selectors import passages_search, search
from apps.knowledge.services import ingest, source_create_from_text, source_delete
from apps.knowledge.types import SourceInfo
from tests.conftest import ApiClient
from tests.knowledge.conftest import SUBJECTS, Choose, FakeEncoder

pytestmark = pytest.mark.django_db
OLD, NEW = "all-minilm-l6-v2@0.1.0", "turned@1"


class TwoEncoders(FakeEncoder):
    """The stand-in under two names: `turned` gives the same vectors in another basis, so that each space alone is right
    and a mixture of both is noise."""

    def __init__(self) -> None:
        super().__init__()
        self.turn = np.linalg.qr(np.random.default_rng(7).normal(size=(384, 384)))[0]
        self.before: Callable[[str, list[str]], None] = lambda model, texts: None

    def __call__(self, texts: Any, *, model: str = "", **rest: Any) -> EmbedResult:
        self.before(model, list(texts))
        name = model or default_model("embedding").name
        vectors = super().__call__(texts, model=name, **rest).vectors
        if name == "short":
            return EmbedResult(vectors[:, :100])
        return EmbedResult((vectors @ self.turn if name == "turned" else vectors).astype(np.float32))


@pytest.fixture(autouse=True)
def encoder(monkeypatch: pytest.MonkeyPatch) -> TwoEncoders:
    fake = TwoEncoders()
    for module in ("knowledge.services.ingest", "knowledge.selectors.search", "inference.services.space_building"):
        monkeypatch.setattr(f"apps.{module}.embed_texts", fake)
    return fake


@pytest.fixture(autouse=True)
def hints(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test is the broker."""
    monkeypatch.setattr("apps.jobs.services.enqueue.broker_hint", lambda job_id, queue: None)
    monkeypatch.setattr("apps.jobs.services.sweep.broker_hint", lambda job_id, queue: None)


def _first(tenant: Any, query: str) -> str:
    return passages_search(tenant_id=tenant.id, query=query, k=1).passages[0].title


def _all_found(tenant: Any) -> list[str]:
    return [_first(tenant, text) for text in SUBJECTS.values()]


def _cosines(tenant: Any) -> list[float]:
    found = [passages_search(tenant_id=tenant.id, query=text, k=1).passages[0] for text in SUBJECTS.values()]
    return [passage.cosine for passage in found]


def _build(tenant: Any, *, most: int = 10) -> int:
    """Run the organisation's jobs of this kind until none waits; returns how many there were."""
    count = 0
    while count < most and (ids := _waiting(tenant)):
        assert job_run(ids[0])
        count += 1
    return count


def _waiting(tenant: Any) -> list[uuid.UUID]:
    with tenant_scope(tenant.id):
        ids = list(Job.objects.filter(kind="knowledge.vectors_build").values_list("id", flat=True))
        return list(JobDispatch.objects.filter(job_id__in=ids, status="queued").values_list("job_id", flat=True))


def _spaces(tenant: Any) -> dict[str, int]:
    """How many passages have a vector in each space."""
    with tenant_scope(tenant.id):
        names = list(ChunkVector.objects.values_list("space", flat=True))
    return {name: names.count(name) for name in names}


def _state(tenant: Any) -> Any:
    (found,) = [one for one in spaces_list(tenant_id=tenant.id) if one.holder == PASSAGES]
    return found


def test_each_vector_carries_its_model_and_revision(tenant: Any, subjects: None) -> None:
    assert _spaces(tenant) == {OLD: 4}


def test_another_default_does_not_mix_spaces(tenant: Any, subjects: None, choose: Choose, encoder: TwoEncoders) -> None:
    """The query is read by the encoder of the passages, whatever the default is."""
    before = _cosines(tenant)
    choose("turned")
    assert _all_found(tenant) == list(SUBJECTS)
    assert _cosines(tenant) == pytest.approx(before)
    assert min(before) > 0.5


def test_the_new_space_takes_over_when_it_is_complete(tenant: Any, subjects: None, choose: Choose) -> None:
    before = _cosines(tenant)
    choose("turned")
    assert spaces_follow() == 1
    assert (_state(tenant).serving, _state(tenant).building, _state(tenant).done) == (OLD, NEW, 0)
    _build(tenant)
    assert (_state(tenant).serving, _state(tenant).building) == (NEW, "")
    assert _spaces(tenant) == {NEW: 4}
    assert _all_found(tenant) == list(SUBJECTS)
    assert _cosines(tenant) == pytest.approx(before, abs=1e-4)
    assert spaces_follow(thorough=True) == 0
    with tenant_scope(tenant.id):
        rows = AuditEntry.objects.filter(action="vectors.switched").values_list("actor", "data")
        assert list(rows) == [("system", {"holder": PASSAGES, "before": OLD, "after": NEW})]


def test_the_old_space_serves_half_way(
    tenant: Any, subjects: None, choose: Choose, encoder: TwoEncoders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.inference.services.space_building.EMBED_AT_ONCE", 1)
    choose("turned")
    spaces_follow()
    seen: list[tuple[Any, ...]] = []

    def look(model: str, texts: list[str]) -> None:
        if model == "turned":
            encoder.before = lambda model, texts: None
            seen.append((_spaces(tenant).get(NEW, 0), _state(tenant).serving, _all_found(tenant)))
            encoder.before = look

    encoder.before = look
    _build(tenant)
    assert [count for count, _, _ in seen] == [0, 1, 2, 3]
    assert {serving for _, serving, _ in seen} == {OLD}
    assert all(found == list(SUBJECTS) for _, _, found in seen)


def test_a_killed_job_goes_on_where_it_was(
    tenant: Any, subjects: None, choose: Choose, encoder: TwoEncoders, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process dies after two of four: nothing is computed twice, and the old space serves meanwhile."""
    monkeypatch.setattr("apps.inference.services.space_building.EMBED_AT_ONCE", 1)
    choose("turned")
    spaces_follow()
    computed: list[str] = []

    def die(model: str, texts: list[str]) -> None:
        if len(computed) == 2:
            raise SystemExit
        computed.extend(texts if model == "turned" else [])

    encoder.before = die
    (job_id,) = _waiting(tenant)
    with pytest.raises(SystemExit):
        job_run(job_id)
    encoder.before = lambda model, texts: computed.extend(texts if model == "turned" else [])
    assert _spaces(tenant) == {OLD: 4, NEW: 2}
    assert _all_found(tenant) == list(SUBJECTS)
    assert spaces_follow() == 0
    JobDispatch.objects.filter(job_id=job_id).update(lease_until="2020-01-01T00:00Z")
    jobs_sweep()
    _build(tenant)
    assert len(computed) == len(set(computed)) == 4
    assert _spaces(tenant) == {NEW: 4}


def test_documents_of_meanwhile_are_in_both_spaces(
    tenant: Any, subjects: None, choose: Choose, add_text: Callable[..., SourceInfo]
) -> None:
    choose("turned")
    spaces_follow()
    add_text(tenant, "Forklifts", "Forklifts are charged at night.")
    assert _spaces(tenant) == {OLD: 5, NEW: 1}
    assert _first(tenant, "Forklifts are charged") == "Forklifts"
    _build(tenant)
    assert _spaces(tenant) == {NEW: 5}
    assert _first(tenant, "Forklifts are charged") == "Forklifts"


def test_a_document_read_across_the_change_ends_in_the_new_space(
    tenant: Any, subjects: None, choose: Choose, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its reading began when the old space was the only one, and ends when it is gone."""
    real = ingest.vectors_known
    source = source_create_from_text(tenant_id=tenant.id, title="Forklifts", text="Forklifts are charged at night.")
    with tenant_scope(tenant.id):
        job_id = Source.objects.get(id=source.id).job_id

    def change(**asked: Any) -> Any:
        monkeypatch.setattr(ingest, "vectors_known", real)
        choose("turned")
        spaces_follow()
        _build(tenant)
        return real(**asked)

    monkeypatch.setattr(ingest, "vectors_known", change)
    job_run(job_id)
    assert _state(tenant).serving == NEW
    assert _spaces(tenant) == {NEW: 5}
    assert _first(tenant, "Forklifts are charged") == "Forklifts"


def test_a_question_asked_across_the_change_is_read_again(
    tenant: Any, subjects: None, choose: Choose, encoder: TwoEncoders
) -> None:
    def change(model: str, texts: list[str]) -> None:
        encoder.before = lambda model, texts: None
        choose("turned")
        spaces_follow()
        _build(tenant)

    encoder.before = change
    found = passages_search(tenant_id=tenant.id, query=SUBJECTS["Parking"], k=1).passages[0]
    assert (found.title, found.cosine > 0.5) == ("Parking", True)


def test_a_removed_document_takes_its_vectors_along(tenant: Any, subjects: None, choose: Choose) -> None:
    choose("turned")
    spaces_follow()
    with tenant_scope(tenant.id):
        first = Source.objects.order_by("id").first()
    source_delete(tenant_id=tenant.id, source_id=first.id, actor="test")
    _build(tenant)
    assert _spaces(tenant) == {NEW: 3}


def test_another_organisation_is_not_touched(
    tenant: Any, other_tenant: Any, subjects: None, choose: Choose, add_text: Callable[..., SourceInfo]
) -> None:
    add_text(other_tenant, "Boats", "Boats leave the harbour at dawn.")
    choose("turned")
    assert spaces_follow() == 2
    _build(tenant)
    assert (_state(tenant).serving, _state(other_tenant).serving) == (NEW, OLD)
    assert _spaces(other_tenant) == {OLD: 1}
    assert _first(other_tenant, "Boats leave the harbour") == "Boats"


def test_a_default_that_is_taken_back_leaves_nothing(
    tenant: Any, subjects: None, choose: Choose, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.inference.services.space_building.EMBED_AT_ONCE", 1)
    monkeypatch.setattr("apps.inference.services.space_building.SLICE_S", 0.0)
    choose("turned")
    spaces_follow()
    _build(tenant, most=1)
    monkeypatch.setattr("apps.inference.services.space_building.SLICE_S", 60.0)
    choose("back")
    spaces_follow()
    _build(tenant)
    assert (_state(tenant).serving, _state(tenant).building, _spaces(tenant)) == (OLD, "", {OLD: 4})


def test_slices_take_turns_until_all_is_done(
    tenant: Any, subjects: None, choose: Choose, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each slice here is over after its first look at the clock."""
    monkeypatch.setattr("apps.inference.services.space_building.EMBED_AT_ONCE", 1)
    clock = iter(range(0, 10**6, 31))
    monkeypatch.setattr("apps.inference.services.space_building.time.monotonic", lambda: float(next(clock)))
    choose("turned")
    spaces_follow()
    assert _build(tenant) > 2
    assert (_state(tenant).serving, _spaces(tenant)) == (NEW, {NEW: 4})


def test_without_its_encoder_a_search_goes_by_words_and_says_so(
    tenant: Any, subjects: None, choose: Choose, api: ApiClient, client: Any
) -> None:
    choose("turned", without=True)
    spaces_follow()
    found = passages_search(tenant_id=tenant.id, query="when do pallets leave", k=2)
    assert (found.mode, [passage.title for passage in found.passages]) == ("words", ["Pallets"])
    assert [passage.cosine for passage in found.passages] == [0.0]
    assert api.get("/knowledge/search?q=pallets").json()["mode"] == "words"
    assert api.get("/knowledge/vectors").json()["items"][0]["search"] == "words"
    assert spaces_degraded() == 1
    _build(tenant)
    spaces_follow()
    assert passages_search(tenant_id=tenant.id, query="when do pallets leave", k=2).mode == "meaning"
    assert spaces_degraded() == 0
    assert api.get("/knowledge/search?q=pallets").json()["mode"] == "meaning"


def test_documents_can_be_added_without_the_old_encoder(
    tenant: Any, subjects: None, choose: Choose, add_text: Callable[..., SourceInfo]
) -> None:
    choose("turned", without=True)
    spaces_follow()
    assert add_text(tenant, "Forklifts", "Forklifts are charged at night.").status == "ready"
    assert _first(tenant, "forklifts") == "Forklifts"
    _build(tenant)
    assert _spaces(tenant) == {NEW: 5}


def test_an_encoder_of_another_length_changes_nothing(tenant: Any, subjects: None, choose: Choose) -> None:
    choose("short", dim=100)
    spaces_follow()
    _build(tenant)
    assert (_state(tenant).serving, _state(tenant).error_code) == (OLD, "embedding_dimensions")
    assert spaces_follow() == 0
    assert _all_found(tenant) == list(SUBJECTS)


def test_a_job_that_was_pruned_stops_nobody(tenant: Any, subjects: None, choose: Choose) -> None:
    """A month after the last change of the encoder the job that made the vectors is gone."""
    choose("turned")
    spaces_follow()
    _build(tenant)
    with tenant_scope(tenant.id):
        assert jobs_prune(now() + timedelta(days=1), 1000) > 0
    choose("back")
    assert spaces_follow() == 1
    _build(tenant)
    assert _state(tenant).serving == OLD


def test_one_organisations_failure_keeps_no_other_from_its_vectors(
    tenant: Any,
    other_tenant: Any,
    subjects: None,
    add_text: Callable[..., SourceInfo],
    choose: Choose,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    add_text(other_tenant, "Theirs", "Other words.")
    choose("turned")
    monkeypatch.setattr(space_building, "organization_ids", lambda: [other_tenant.id, tenant.id])
    monkeypatch.setattr(space_building, "_active", _broken_for(other_tenant.id))
    assert spaces_follow() == 1
    _build(tenant)
    assert _state(tenant).serving == NEW


def _broken_for(tenant_id: uuid.UUID) -> Callable[[VectorSpace], bool]:
    def active(row: VectorSpace) -> bool:
        if row.tenant_id == tenant_id:
            raise RuntimeError("a row that nobody expected")
        return False

    return active


def test_a_pause_stops_and_a_resume_goes_on(tenant: Any, subjects: None, choose: Choose, api: ApiClient) -> None:
    choose("turned")
    spaces_follow()
    assert api.patch("/knowledge/vectors", {"paused": True}).json()["items"][0]["paused"] is True
    assert (_waiting(tenant), spaces_follow(), _state(tenant).serving) == ([], 0, OLD)
    space_resume(tenant_id=tenant.id, actor="test")
    assert spaces_follow() == 1
    _build(tenant)
    assert _state(tenant).serving == NEW


def test_a_running_job_ends_at_a_pause(
    tenant: Any, subjects: None, choose: Choose, encoder: TwoEncoders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.inference.services.space_building.EMBED_AT_ONCE", 1)
    choose("turned")
    spaces_follow()
    encoder.before = lambda model, texts: space_pause(tenant_id=tenant.id, actor="test")
    assert _build(tenant) == 1
    assert (_state(tenant).serving, _state(tenant).paused, _spaces(tenant)) == (OLD, True, {OLD: 4, NEW: 1})


def test_a_passage_without_a_vector_is_found_by_words_and_gets_one(tenant: Any, subjects: None) -> None:
    """As one that a process of the version before has written."""
    with tenant_scope(tenant.id):
        ChunkVector.objects.filter(chunk__text__startswith="Pallets").delete()
    assert _first(tenant, "pallets") == "Pallets"
    assert (spaces_follow(), spaces_follow(thorough=True)) == (0, 1)
    _build(tenant)
    assert _spaces(tenant) == {OLD: 4}
    assert _cosines(tenant)[0] > 0.5


def test_what_is_computed_again_is_what_was_read(
    tenant: Any, subjects: None, encoder: TwoEncoders, choose: Choose
) -> None:
    first = set(encoder.texts)
    encoder.calls.clear()
    choose("turned")
    spaces_follow()
    _build(tenant)
    assert set(encoder.texts) == first


def test_a_passage_of_the_first_version_is_embedded_from_title_and_heading(
    tenant: Any, add_files: Any, encoder: TwoEncoders, choose: Choose
) -> None:
    add_files(tenant, {"a.md": b"# Yard\n\n## Pallets\n\nPallets leave on Tuesday.\n"})
    first = set(encoder.texts)
    encoder.calls.clear()
    with tenant_scope(tenant.id):
        Chunk.objects.update(context=None)
    choose("turned")
    spaces_follow()
    _build(tenant)
    assert set(encoder.texts) == first


@pytest.fixture
def large(tenant: Any, subjects: None) -> Iterator[Any]:
    """A planner that would rather not sort."""
    with tenant_scope(tenant.id), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_sort = off; SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off")
        yield cursor


def test_the_approximate_index_serves_one_space(tenant: Any, large: Any) -> None:
    asked = {"tenant": tenant.id, "space": OLD, "vector": str([0.1] * 384), "vector_limit": 3, "collections": None}
    large.execute(f"EXPLAIN {search._NEAREST.format(collections='')}", asked)
    assert "knowledge_chunkvector_hnsw" in "\n".join(line for (line,) in large.fetchall())


def test_the_row_of_an_organisation_names_one_space_for_each_holder(tenant: Any, subjects: None) -> None:
    with tenant_scope(tenant.id):
        assert list(VectorSpace.objects.values_list("holder", "serving")) == [(PASSAGES, OLD)]
    assert catalogue().default("embedding").name == MINILM.name
