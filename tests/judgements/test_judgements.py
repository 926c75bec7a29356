"""One shape for what people, models and checks hold of something: bounds, one verdict of an author, walls, forgetting."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest

from apps.core.clock import now
from apps.core.errors import Invalid
from apps.core.tenancy import tenant_scope
from apps.events.models import Event
from apps.judgements import fields
from apps.judgements.models import Judgement
from apps.judgements.selectors import judgements_of, judgements_page
from apps.judgements.services import (
    judge,
    judgement_field_declare,
    judgements_carry,
    judgements_forget,
    judgements_forget_author,
)
from apps.judgements.types import MAX_ID, MAX_REASON, Author, AuthorKind, JudgementField, Verdict
from tests.at_once import at_once

pytestmark = pytest.mark.django_db
MODEL = Author(AuthorKind.MODEL, "reviewer@3f2a")
PERSON = Author(AuthorKind.USER, "7")


@pytest.fixture(autouse=True)
def _fields(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fields, "_fields", {})
    judgement_field_declare(JudgementField("run", "grade", low=0, high=1))
    judgement_field_declare(JudgementField("run", "stars", low=1, high=5, whole=True))
    judgement_field_declare(JudgementField("run", "thumbs", numbers=(1, -1)))
    judgement_field_declare(JudgementField("run", "verdict", values=("right", "wrong")))
    judgement_field_declare(JudgementField("run", "topic"))


def _judge(
    tenant: Any, value: Any, *, target: str = "1", field: str = "verdict", author: Author = PERSON, **more: Any
) -> Any:
    verdict = Verdict(target, value, author, **more)
    return judge(tenant_id=tenant.id, target_kind="run", field=field, verdict=verdict)


def _held(tenant: Any, *targets: str, **more: Any) -> list[tuple[str, str, Author, str]]:
    found = judgements_of(tenant_id=tenant.id, target_kind="run", target_ids=targets or ["1"], **more)
    return [(one.field, one.value, one.author, one.reason) for one in found]


def test_an_author_holds_one_thing_of_a_field_and_a_target(tenant: Any) -> None:
    first = _judge(tenant, "right", reason="it is")
    second = _judge(tenant, "wrong", reason="it is not")
    assert _held(tenant) == [("verdict", "wrong", PERSON, "it is not")]
    assert first.id == second.id


def test_authors_fields_and_targets_are_held_apart(tenant: Any) -> None:
    _judge(tenant, "right")
    _judge(tenant, "wrong", author=MODEL)
    _judge(tenant, 0.5, field="grade")
    _judge(tenant, "wrong", target="2")
    assert _held(tenant) == [
        ("verdict", "right", PERSON, ""),
        ("verdict", "wrong", MODEL, ""),
        ("grade", "0.5", PERSON, ""),
    ]
    assert _held(tenant, "1", "2", field="verdict")[-1] == ("verdict", "wrong", PERSON, "")


def test_authors_at_the_same_moment_leave_one_row_each(transactional_db: None, tenant: Any) -> None:
    results = at_once([lambda: _judge(tenant, "right"), lambda: _judge(tenant, "wrong")] * 4)
    assert [result for result in results if isinstance(result, Exception)] == []
    assert len(_held(tenant)) == 1


@pytest.mark.parametrize(
    ("field", "value", "kept"),
    [
        ("grade", 0, ("0", 0.0)),
        ("grade", 0.25, ("0.25", 0.25)),
        ("stars", 5, ("5", 5.0)),
        ("stars", 4.0, ("4", 4.0)),
        ("thumbs", -1, ("-1", -1.0)),
        ("verdict", "right", ("right", None)),
        ("topic", "Rückgabe", ("Rückgabe", None)),
    ],
)
def test_a_value_is_kept_as_text_and_as_a_number(tenant: Any, field: str, value: Any, kept: Any) -> None:
    made = _judge(tenant, value, field=field)
    assert (made.value, made.number) == kept
    assert made.as_dict()["value"] == value


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("grade", 1.01),
        ("grade", float("nan")),
        ("grade", float("inf")),
        ("grade", 10**400),
        ("grade", True),
        ("grade", "0.5"),
        ("grade", None),
        ("stars", 4.5),
        ("stars", 0),
        ("thumbs", 0),
        ("verdict", "perhaps"),
        ("verdict", ""),
        ("verdict", 1),
        ("verdict", None),
        ("topic", "x" * 61),
        ("topic", "a\x00b"),
        ("topic", "\ud800"),
    ],
)
def test_what_is_no_value_of_the_field_is_refused(tenant: Any, field: str, value: Any) -> None:
    with pytest.raises(Invalid) as caught:
        _judge(tenant, value, field=field)
    assert caught.value.code == "judgement_value_invalid"
    assert _held(tenant) == []


@pytest.mark.parametrize(
    "bad",
    [
        {"reason": "x" * (MAX_REASON + 1)},
        {"target": ""},
        {"target": "x" * (MAX_ID + 1)},
        {"author": Author(AuthorKind.KEY, "x" * 121)},
    ],
)
def test_texts_are_bounded(tenant: Any, bad: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as caught:
        _judge(tenant, "right", **bad)
    assert caught.value.code == "judgement_invalid"


def test_a_reason_is_kept_as_the_database_takes_it(tenant: Any) -> None:
    assert _judge(tenant, "right", reason="a\x00b\ud800").reason == "ab?"


def test_a_field_that_nobody_declares_is_refused(tenant: Any) -> None:
    with pytest.raises(Invalid) as caught:
        _judge(tenant, "right", field="mood")
    assert caught.value.code == "judgement_field_unknown"


@pytest.mark.parametrize(
    "field", [JudgementField("run", "grade"), JudgementField("Run", "x"), JudgementField("run", "")]
)
def test_a_field_is_declared_once_and_by_a_name(field: JudgementField) -> None:
    with pytest.raises(ValueError, match=r"declared|no name"):
        judgement_field_declare(field)


def test_another_organisation_sees_and_forgets_nothing(tenant: Any, other_tenant: Any) -> None:
    _judge(tenant, "right")
    with tenant_scope(other_tenant.id):
        forgotten = judgements_forget(target_kind="run", target_ids=["1"]) + judgements_forget_author(PERSON)
    assert (_held(other_tenant), forgotten) == ([], 0)
    assert len(_held(tenant)) == 1


def test_what_is_held_of_a_target_goes_with_it(tenant: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.judgements.services.IDS_AT_ONCE", 2)
    for target in ("1", "2", "3", "4"):
        _judge(tenant, "right", target=target)
    with tenant_scope(tenant.id):
        assert judgements_forget(target_kind="other", target_ids=["1"]) == 0
        assert judgements_forget(target_kind="run", target_ids=["1", "2", "3"]) == 3
    assert len(_held(tenant, "1", "2", "3", "4")) == 1


def test_what_an_author_held_goes_with_the_author(tenant: Any) -> None:
    _judge(tenant, "right")
    _judge(tenant, "right", author=MODEL)
    with tenant_scope(tenant.id):
        assert judgements_forget_author(PERSON) == 1
    assert _held(tenant) == [("verdict", "right", MODEL, "")]


def test_what_is_carried_over_is_told_to_nobody_and_kept_once(tenant: Any) -> None:
    before = now() - timedelta(days=3)
    _judge(tenant, "wrong")
    verdicts = [Verdict(str(n), "right", PERSON, "old", before) for n in (1, 2)]
    for _ in range(2):
        judgements_carry(tenant_id=tenant.id, target_kind="run", field="verdict", verdicts=verdicts)
    found = judgements_of(tenant_id=tenant.id, target_kind="run", target_ids=["1", "2"])
    assert [(one.value, one.reason, one.judged_at) for one in found] == [("right", "old", before)] * 2
    with tenant_scope(tenant.id):
        assert Event.objects.filter(type="judgement.made").count() == 1


def test_nothing_to_carry_over_is_no_error(tenant: Any) -> None:
    judgements_carry(tenant_id=tenant.id, target_kind="run", field="verdict", verdicts=[])
    assert _held(tenant) == []


def test_a_field_is_read_page_by_page_in_the_order_of_time(tenant: Any) -> None:
    start = now() - timedelta(days=10)
    for day in range(5):
        _judge(tenant, "right", target=str(day), judged_at=start + timedelta(days=day // 2))
    asked: dict[str, Any] = {"tenant_id": tenant.id, "target_kind": "run", "field": "verdict", "limit": 2}
    seen, after = [], None
    for _ in range(3):
        page = judgements_page(**asked, after=after)
        seen += [one.target_id for one in page.items]
        after = page.after
    assert (sorted(seen), len(seen), after) == (["0", "1", "2", "3", "4"], 5, None)
    window = judgements_page(**asked, since=start + timedelta(days=1), until=start + timedelta(days=2))
    assert sorted(one.target_id for one in window.items) == ["2", "3"]


def test_a_row_has_the_shape_of_the_database(tenant: Any) -> None:
    _judge(tenant, 1, field="thumbs", target=str(uuid.uuid4()))
    with tenant_scope(tenant.id):
        row = Judgement.objects.get()
    assert (row.field, row.value, row.number, row.author_kind, row.author_id) == ("thumbs", "1", 1.0, "user", "7")
