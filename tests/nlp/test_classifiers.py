"""An organisation's own classifiers: taught over the API, trained by a job, asked by name, with a way back."""

from __future__ import annotations

from typing import Any

import pytest

from apps.core.tenancy import tenant_scope
from apps.jobs.models import JobDispatch
from apps.jobs.services import job_run
from apps.nlp.models import ClassifierVersion
from tests.conftest import ApiClient

pytestmark = [pytest.mark.models, pytest.mark.usefixtures("models")]
EXAMPLES = [
    {"text": "The crane needs a new cable", "label": "maintenance"},
    {"text": "Please repair the forklift", "label": "maintenance"},
    {"text": "The gate does not close any more", "label": "maintenance"},
    {"text": "We are ten people and want to visit the harbour", "label": "visit"},
    {"text": "Can our school class come on Thursday?", "label": "visit"},
    {"text": "How much is a guided tour?", "label": "visit"},
    {"text": "I would like to work as a crane driver", "label": "job"},
    {"text": "Do you take apprentices?", "label": "job"},
    {"text": "Here is my application", "label": "job"},
]


def jobs_run() -> None:
    """Run what waits, as a worker does."""
    while (row := JobDispatch.objects.filter(status="queued").first()) is not None:
        job_run(row.job_id)


def taught(api: ApiClient, name: str = "Harbour office", examples: Any = None) -> dict[str, Any]:
    response = api.post("/analysis/classifiers", {"name": name, "examples": examples or EXAMPLES})
    assert response.status_code == 202, response.content
    jobs_run()
    return api.get(f"/analysis/classifiers/{response.json()['id']}").json()


@pytest.mark.django_db(transaction=True)
def test_a_few_examples_make_a_classifier(api: ApiClient) -> None:
    made = taught(api)
    assert (made["status"], made["active_version"], made["labels"]) == (
        "ready",
        1,
        {"job": 3, "maintenance": 3, "visit": 3},
    )
    found = api.post(
        "/nlp/classify",
        {
            "texts": ["the forklift is broken", "is there a tour on Sunday?", "are you hiring?"],
            "classifier": "Harbour office",
        },
    ).json()
    assert [one["label"] for one in found] == ["maintenance", "visit", "job"]
    assert sum(found[0]["scores"].values()) == pytest.approx(1, abs=1e-3)


@pytest.mark.django_db(transaction=True)
def test_quality_is_measured_on_examples_that_were_not_learned(api: ApiClient) -> None:
    (version,) = taught(api)["versions"]
    assert version["metrics"]["folds"] == 3
    assert version["metrics"]["baseline"] == pytest.approx(1 / 3, abs=1e-3)
    assert 0 <= version["metrics"]["macro_f1"] <= 1


@pytest.mark.django_db(transaction=True)
def test_the_old_version_answers_while_a_new_one_is_trained_and_can_come_back(api: ApiClient) -> None:
    made = taught(api)
    url = f"/analysis/classifiers/{made['id']}"
    more = [{"text": "the forklift is broken", "label": "visit"}, {"text": "repair the old forklift", "label": "visit"}]
    assert api.post(f"{url}/examples", {"examples": more}).status_code == 202
    during = api.get(url).json()
    assert (during["status"], during["active_version"]) == ("training", 1)
    assert api.post(f"{url}/examples", {"examples": more}).json()["error"]["code"] == "classifier_busy"
    jobs_run()
    assert api.get(url).json()["active_version"] == 2
    back = api.post(f"{url}/activate", {"version": 1}).json()
    assert back["active_version"] == 1
    asked = {"text": "the forklift is broken", "classifier": made["id"]}
    labels = [api.post("/nlp/classify", {**asked, "version": version}).json()["label"] for version in (0, 1, 2)]
    assert labels == ["maintenance", "maintenance", "visit"]


@pytest.mark.django_db(transaction=True)
def test_a_known_text_gets_its_new_label_and_is_not_doubled(api: ApiClient) -> None:
    made = taught(api)
    moved = [{"text": EXAMPLES[0]["text"], "label": "visit"}]
    api.post(f"/analysis/classifiers/{made['id']}/examples", {"examples": moved})
    assert api.get(f"/analysis/classifiers/{made['id']}").json()["labels"] == {"job": 3, "maintenance": 2, "visit": 4}


@pytest.mark.django_db(transaction=True)
def test_an_untrained_classifier_says_so(api: ApiClient) -> None:
    api.post("/analysis/classifiers", {"name": "Waiting", "examples": EXAMPLES})
    response = api.post("/nlp/classify", {"text": "x", "classifier": "Waiting"})
    assert (response.status_code, response.json()["error"]["code"]) == (409, "classifier_not_ready")


@pytest.mark.django_db(transaction=True)
def test_a_head_of_another_encoder_is_not_asked(api: ApiClient, tenant: Any) -> None:
    taught(api)
    with tenant_scope(tenant.id):
        ClassifierVersion.objects.update(embedding_revision="another")
    response = api.post("/nlp/classify", {"text": "x", "classifier": "Harbour office"})
    assert response.json()["error"]["code"] == "classifier_not_ready"


@pytest.mark.django_db(transaction=True)
def test_a_foreign_classifier_looks_missing_by_id_and_by_name(api: ApiClient, other_api: ApiClient) -> None:
    made = taught(api)
    codes = [
        other_api.post("/nlp/classify", {"text": "x", "classifier": reference}).json()["error"]["code"]
        for reference in (made["id"], made["name"])
    ]
    assert codes == ["classifier_not_found"] * 2


@pytest.mark.django_db(transaction=True)
def test_weights_of_words_add_up_for_an_own_classifier(api: ApiClient) -> None:
    taught(api)
    found = api.post(
        "/nlp/classify", {"text": "please repair the broken gate", "classifier": "Harbour office", "explain": True}
    ).json()
    known = found["explanation"]
    assert sum(token["weight"] for token in found["tokens"]) == pytest.approx(known["value"] - known["base"], abs=1e-3)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"name": " ", "examples": EXAMPLES}, "classifier_invalid"),
        ({"name": "x", "examples": EXAMPLES[:3]}, "examples_invalid"),
        ({"name": "x", "examples": EXAMPLES[:4]}, "examples_invalid"),
        ({"name": "x", "examples": [{"text": "", "label": "a"}]}, "examples_invalid"),
        ({"name": "x", "examples": [{"text": "t" * 4_001, "label": "a"}]}, "examples_invalid"),
        ({"name": "x", "examples": [{"text": "t", "label": "l" * 61}]}, "examples_invalid"),
    ],
)
def test_what_cannot_be_learned_is_refused(api: ApiClient, body: dict[str, Any], code: str) -> None:
    response = api.post("/analysis/classifiers", body)
    assert (response.status_code, response.json()["error"]["code"]) == (422, code)


@pytest.mark.django_db(transaction=True)
def test_a_name_is_given_once_and_free_again_after_removal(api: ApiClient) -> None:
    made = taught(api)
    again = api.post("/analysis/classifiers", {"name": made["name"], "examples": EXAMPLES})
    assert again.json()["error"]["code"] == "classifier_exists"
    assert api.delete(f"/analysis/classifiers/{made['id']}").status_code == 204
    assert api.post("/analysis/classifiers", {"name": made["name"], "examples": EXAMPLES}).status_code == 202


def test_two_labels_are_enough_for_a_head() -> None:
    import numpy as np

    from apps.nlp.services.classifiers import head_fit
    from apps.nlp.services.heads import head_probabilities

    vectors = np.array([[1, 0], [0.9, 0.1], [0, 1], [0.1, 0.9]], dtype=np.float32)
    labels, head, _ = head_fit(vectors, ["a", "a", "b", "b"])
    shares = head_probabilities(vectors, head)
    assert (labels, shares.argmax(axis=1).tolist()) == (["a", "b"], [0, 0, 1, 1])
