"""Pages of a search by meaning: nearest first, each conversation once, and an end."""

from __future__ import annotations

import base64
import math
import struct
import uuid
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from apps.core.tenancy import tenant_scope
from apps.inference.services import default_space
from apps.insights.models import EMBEDDING_DIMENSIONS, MessageVector
from apps.insights.selectors import meaning
from tests import fakes
from tests.conftest import ApiClient
from tests.conversations.conftest import Talk

pytestmark = pytest.mark.django_db
QUERY = "the courier lost my parcel"
Near = Callable[..., Talk]


@pytest.fixture(autouse=True)
def fake_models(monkeypatch: pytest.MonkeyPatch) -> fakes.FakeModels:
    return fakes.install(monkeypatch, fakes.FakeModels())


def _at(cosine: float, seed: int) -> np.ndarray:
    """A unit vector at this cosine to the query's."""
    wanted = fakes.vector_of(QUERY).astype(np.float64)
    other = np.random.default_rng(seed).normal(size=len(wanted))
    other -= other @ wanted * wanted
    return cosine * wanted + np.sqrt(1 - cosine**2) * other / np.linalg.norm(other)


@pytest.fixture
def near(tenant: Any, inbox: Any, talk_of: Callable[[Any], Talk]) -> Near:
    """Make a conversation with a message at each of the cosines."""

    def made(*cosines: float) -> Talk:
        talk = talk_of(tenant)
        for cosine in cosines:
            posted = talk.post(f"at {cosine}")
            with tenant_scope(tenant.id):
                vector = _at(cosine, posted.message.id.int % 2**32)
                MessageVector.objects.create(
                    message_id=posted.message.id, conversation_id=talk.id, space=default_space(), embedding=vector
                )
        return talk

    return made


def _page(api: ApiClient, cursor: str = "", limit: int = 20) -> tuple[list[str], str | None]:
    answer = api.get(f"/conversations/search?q={QUERY}&limit={limit}&cursor={cursor}")
    assert answer.status_code == 200, answer.content
    body = answer.json()
    return [item["id"] for item in body["items"]], body["next_cursor"]


def _pages(api: ApiClient, limit: int) -> list[list[str]]:
    found, cursor = [], ""
    while cursor is not None:
        page, cursor = _page(api, cursor, limit)
        found.append(page)
    return found


def _ids(*talks: Talk) -> list[str]:
    return [str(talk.id) for talk in talks]


def test_pages_follow_each_other_nearest_first_without_gap_or_repeat(api: ApiClient, near: Near) -> None:
    talks = [near(0.9 - number / 20, 0.4) for number in range(7)]
    assert _pages(api, 3) == [_ids(*talks[:3]), _ids(*talks[3:6]), _ids(*talks[6:])]


def test_a_full_last_page_has_no_cursor(api: ApiClient, near: Near) -> None:
    talks = [near(0.9), near(0.8)]
    assert _pages(api, 2) == [_ids(*talks)]


def test_the_match_is_the_nearest_message(api: ApiClient, near: Near) -> None:
    near(0.5, 0.8, 0.6)
    (item,) = api.get(f"/conversations/search?q={QUERY}").json()["items"]
    assert (item["match"]["seq"], item["match"]["text"]) == (2, "at 0.8")
    assert item["match"]["score"] == pytest.approx(0.8, abs=0.002)


def test_a_later_page_asks_no_model(api: ApiClient, near: Near, fake_models: fakes.FakeModels) -> None:
    for number in range(3):
        near(0.9 - number / 10)
    _, cursor = _page(api, limit=1)
    asked = len(fake_models.embedded)
    assert cursor is not None
    assert len(_page(api, cursor, 1)[0]) == 1
    assert (asked, len(fake_models.embedded)) == (1, 1)


def test_what_arrives_meanwhile_repeats_nothing(api: ApiClient, near: Near) -> None:
    talks = [near(0.9), near(0.8), near(0.7)]
    first, cursor = _page(api, limit=2)
    near(0.95)
    assert (first, _page(api, cursor or "", 2)) == (_ids(*talks[:2]), (_ids(talks[2]), None))


def test_conversations_at_the_same_distance_are_parted_between_pages(api: ApiClient, near: Near, tenant: Any) -> None:
    talks = [near(0.9) for _ in range(4)]
    with tenant_scope(tenant.id):
        MessageVector.objects.update(embedding=_at(0.9, 1))
    first, second = _pages(api, 2)
    assert sorted(first + second) == sorted(_ids(*talks))


def test_what_is_about_something_else_is_no_hit(api: ApiClient, near: Near) -> None:
    talk = near(0.5)
    near(0.2)
    assert _pages(api, 5) == [_ids(talk)]


def test_more_messages_are_looked_at_where_one_conversation_has_the_nearest(
    api: ApiClient, near: Near, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(meaning, "_LOOKED_AT", (3, 10))
    talks = [near(0.9, 0.89, 0.88, 0.87), near(0.7), near(0.6)]
    assert _pages(api, 2) == [_ids(*talks[:2]), _ids(talks[2])]


def test_pages_end_where_enough_was_looked_at(api: ApiClient, near: Near, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meaning, "_LOOKED_AT", (2, 4))
    talks = [near(0.9 - number / 20) for number in range(6)]
    assert _pages(api, 3) == [_ids(*talks[:3]), _ids(talks[3])]


def _cursor(distance: float, number: float, count: int = EMBEDDING_DIMENSIONS) -> str:
    packed = (
        struct.pack("<8sd16s", meaning._mark(default_space()), distance, bytes(16))
        + np.full(count, number, dtype="<f2").tobytes()
    )
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        "é",
        "AAAA",
        "A" * 1055,
        "A" * 1057,
        _cursor(0.5, 0.1, 383),
        _cursor(0.5, 0.1, 385),
        _cursor(0.5, math.nan),
        _cursor(0.5, math.inf),
        _cursor(math.nan, 0.1),
        _cursor(math.inf, 0.1),
    ],
)
def test_a_cursor_that_is_not_ours_is_refused(api: ApiClient, near: Near, cursor: str) -> None:
    answer = api.get(f"/conversations/search?q={QUERY}&cursor={cursor}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "cursor_invalid")


def test_a_cursor_of_good_numbers_is_taken(api: ApiClient, near: Near) -> None:
    """The control of the test above."""
    near(0.9)
    assert _page(api, _cursor(0.5, 0.1))[1] is None


def test_a_cursor_opens_nothing_of_another_organisation(api: ApiClient, other_api: ApiClient, near: Near) -> None:
    near(0.9)
    near(0.8)
    _, cursor = _page(api, limit=1)
    assert _page(other_api, cursor or "", 1) == ([], None)


@pytest.mark.parametrize("limit", ["0", "101", "x"])
def test_a_limit_is_from_1_to_100(api: ApiClient, near: Near, limit: str) -> None:
    assert api.get(f"/conversations/search?q={QUERY}&limit={limit}").status_code == 422


def test_a_conversation_that_was_deleted_meanwhile_is_left_out(
    api: ApiClient, near: Near, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk = near(0.9)
    real = meaning.messages_nearest
    ghost = meaning.Near(0.01, uuid.uuid4(), uuid.uuid4())
    monkeypatch.setattr(meaning, "messages_nearest", lambda **asked: [ghost, *real(**asked)])
    assert _pages(api, 5) == [_ids(talk)]
