"""Another encoder, for messages that are found by meaning and for classifiers: nothing is mixed, nothing falls silent."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from apps.core.tenancy import tenant_scope
from apps.inference.catalogue import MINILM
from apps.inference.services import MESSAGES, space_building, spaces_follow, spaces_list
from apps.inference.types import EmbedResult
from apps.insights.models import MessageVector
from apps.insights.services.annotations import annotation_start
from apps.jobs.models import Job, JobDispatch
from apps.jobs.services import job_run
from apps.nlp.models import ClassifierVersion
from apps.nlp.services import heads
from apps.nlp.services.classifier_encoders import classifiers_follow
from apps.nlp.services.classifiers import classifier_create
from tests import fakes
from tests.conftest import ApiClient
from tests.conversations.conftest import Talk

pytestmark = pytest.mark.django_db
OLD, NEW = "all-minilm-l6-v2@0.1.0", "turned@1"
TEXTS = ("The courier lost my parcel.", "How do I change my password?", "Is the blue coat in stock?")
TURN = np.linalg.qr(np.random.default_rng(7).normal(size=(384, 384)))[0]


class TwoEncoders(fakes.FakeModels):
    """The encoder `turned` gives the same vectors in another basis."""

    def embed_texts(self, texts: Any, *, model: str = "", **rest: Any) -> EmbedResult:
        found = super().embed_texts(texts, model=model, **rest)
        return EmbedResult((found.vectors @ TURN).astype(np.float32)) if model == "turned" else found


@pytest.fixture(autouse=True)
def models(monkeypatch: pytest.MonkeyPatch) -> TwoEncoders:
    made = TwoEncoders()
    fakes.install(monkeypatch, made)
    assert (heads.embed_texts, space_building.embed_texts) == (made.embed_texts, made.embed_texts)
    monkeypatch.setattr("apps.jobs.services.enqueue.broker_hint", lambda job_id, queue: None)
    monkeypatch.setattr("apps.jobs.services.run.close_old_connections", lambda: None)
    return made


@pytest.fixture
def choose(settings: Any, tmp_path: Path) -> Callable[..., None]:
    """Make `turned` the default encoder; `without` takes the first one away."""

    def change(*, without: bool = False) -> None:
        entries = [asdict(MINILM) | {"name": "turned", "revision": "1"}, asdict(MINILM) | {"revision": "gone"}]
        path = tmp_path / f"catalogue-{uuid.uuid4().hex}.json"
        path.write_text(json.dumps({"models": entries[: 1 + without], "defaults": {"embedding": "turned"}}))
        settings.INFERENCE_CATALOGUE = path

    return change


@pytest.fixture
def said(tenant: Any, inbox: Any, talk_of: Callable[[Any], Talk]) -> list[Talk]:
    """A conversation for each text, read."""
    talks = []
    for text in TEXTS:
        talks.append(talk_of(tenant))
        _read(tenant, talks[-1].post(text).message.id)
    return talks


def _read(tenant: Any, message_id: uuid.UUID) -> None:
    job_run(annotation_start(tenant_id=tenant.id, message_id=message_id))


def _run(tenant: Any, kind: str = "analysis.vectors_build") -> None:
    with tenant_scope(tenant.id):
        ids = list(Job.objects.filter(kind=kind).values_list("id", flat=True))
    for row in JobDispatch.objects.filter(job_id__in=ids, status="queued"):
        job_run(row.job_id)


def _spaces(tenant: Any) -> list[str]:
    with tenant_scope(tenant.id):
        return sorted(MessageVector.objects.values_list("space", flat=True))


def _found(api: ApiClient, query: str) -> tuple[str, float]:
    first = api.get(f"/conversations/search?q={query}").json()["items"][0]
    return first["match"]["text"], first["match"]["score"]


def test_messages_are_found_by_the_encoder_that_read_them(
    tenant: Any, said: list[Talk], choose: Callable[..., None], api: ApiClient
) -> None:
    before = [_found(api, text) for text in TEXTS]
    choose()
    assert [text for text, _ in before] == list(TEXTS)
    assert [_found(api, text) for text in TEXTS] == before


def test_the_change_is_complete_before_it_is_seen(
    tenant: Any, said: list[Talk], choose: Callable[..., None], api: ApiClient
) -> None:
    choose()
    spaces_follow()
    _read(tenant, said[0].post("The lift is stuck again.").message.id)
    assert _spaces(tenant) == [OLD] * 4 + [NEW]
    assert _found(api, "lift stuck")[0] == "The lift is stuck again."
    _run(tenant)
    (state,) = [one for one in spaces_list(tenant_id=tenant.id) if one.holder == MESSAGES]
    assert (state.serving, state.building) == (NEW, "")
    _run(tenant)
    assert _spaces(tenant) == [NEW] * 4
    assert [_found(api, text)[0] for text in TEXTS] == list(TEXTS)


def test_a_page_of_before_the_change_is_not_continued_in_another_space(
    tenant: Any, said: list[Talk], choose: Callable[..., None], api: ApiClient
) -> None:
    # A query that all of them are near to.
    first = api.get("/conversations/search?q=the my is courier how blue&limit=1").json()
    assert first["next_cursor"]
    choose()
    spaces_follow()
    _run(tenant)
    again = api.get(f"/conversations/search?q=the my is courier how blue&limit=1&cursor={first['next_cursor']}")
    assert (again.status_code, again.json()["error"]["code"]) == (422, "cursor_invalid")


def test_without_the_encoder_the_search_by_meaning_says_so(
    tenant: Any, said: list[Talk], choose: Callable[..., None], api: ApiClient
) -> None:
    choose(without=True)
    refused = api.get("/conversations/search?q=parcel")
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "encoder_missing")
    spaces_follow()
    _run(tenant)
    assert _found(api, TEXTS[0])[0] == TEXTS[0]


def test_a_message_is_computed_again_from_what_was_read(
    tenant: Any, said: list[Talk], choose: Callable[..., None], models: TwoEncoders
) -> None:
    models.embedded.clear()
    choose()
    spaces_follow()
    _run(tenant)
    assert sorted(models.embedded) == sorted(TEXTS)


EXAMPLES = [{"text": f"{word} {n}", "label": word} for word in ("parcel", "password") for n in range(3)]


def _classified(api: ApiClient) -> Any:
    return api.post("/nlp/classify", {"text": "my password", "classifier": "Topics"})


def test_a_classifier_answers_with_its_own_encoder_until_it_is_trained_again(
    tenant: Any, choose: Callable[..., None], api: ApiClient, models: TwoEncoders
) -> None:
    classifier_create(tenant_id=tenant.id, name="Topics", examples=EXAMPLES, actor="test")
    _run(tenant, "analysis.classifier_train")
    before = _classified(api).json()
    assert before["label"] == "password"
    choose()
    assert _classified(api).json()["scores"] == before["scores"]
    assert (classifiers_follow(), classifiers_follow()) == (1, 0)
    assert _classified(api).json()["scores"] == before["scores"]
    _run(tenant, "analysis.classifier_train")
    with tenant_scope(tenant.id):
        assert ClassifierVersion.objects.get(number=2).embedding_model == "turned"
    assert _classified(api).json()["label"] == "password"
    assert models.models[-1] == "turned"
    assert classifiers_follow() == 0


def test_a_classifier_whose_encoder_is_gone_says_so_until_it_is_trained_again(
    tenant: Any, choose: Callable[..., None], api: ApiClient
) -> None:
    classifier_create(tenant_id=tenant.id, name="Topics", examples=EXAMPLES, actor="test")
    _run(tenant, "analysis.classifier_train")
    choose(without=True)
    assert _classified(api).json()["error"]["code"] == "classifier_not_ready"
    classifiers_follow()
    _run(tenant, "analysis.classifier_train")
    assert _classified(api).json()["label"] == "password"
