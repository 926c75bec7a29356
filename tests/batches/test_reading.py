"""Summaries, filters, pages and topics of a batch."""

from __future__ import annotations

from typing import Any

import pytest

from apps.batches.services import topics
from apps.batches.types import RowFilter
from apps.core.tenancy import tenant_scope
from tests import fakes
from tests.batches.calls import batch_start, jobs_run, lines_of
from tests.conftest import ApiClient

pytestmark = pytest.mark.django_db(transaction=True)


def _coloured(api: ApiClient) -> str:
    """German in the north, English in the south; an empty text on the third day."""
    german, english = "Das Wetter ist heute wirklich schön.", "The weather is really nice today."
    rows = [(german, "north", 1)] * 5 + [(english, "south", 2)] * 3 + [("", "south", 3)]
    batch_id = batch_start(api, [{"text": t, "source": s, "time": f"2026-01-{d:02}T10:00:00Z"} for t, s, d in rows])
    jobs_run()
    return batch_id


def test_a_summary_counts_by_label_source_and_time(api: ApiClient) -> None:
    found = api.get(f"/jobs/{_coloured(api)}/summary").json()
    assert found["rows"] == 9
    assert [(bar["name"], bar["rows"]) for bar in found["labels"]] == [("de", 5), ("en", 3), ("~error", 1)]
    assert [(bar["name"], bar["rows"], bar["labels"]) for bar in found["sources"]] == [
        ("north", 5, {"de": 5}),
        ("south", 4, {"en": 3, "~error": 1}),
    ]
    assert found["trend"]["unit"] == "hour"
    assert [(p["from"], p["rows"]) for p in found["trend"]["points"]] == [
        ("2026-01-01T10:00:00Z", 5),
        ("2026-01-02T10:00:00Z", 3),
        ("2026-01-03T10:00:00Z", 1),
    ]
    assert found["topics"] == []


def test_a_filter_leaves_the_chart_of_its_own_dimension_whole(api: ApiClient) -> None:
    found = api.get(f"/jobs/{_coloured(api)}/summary?source=south").json()
    assert found["rows"] == 4
    assert [bar["name"] for bar in found["labels"]] == ["en", "~error"]
    assert [bar["name"] for bar in found["sources"]] == ["north", "south"]
    assert [point["rows"] for point in found["trend"]["points"]] == [3, 1]


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("label=de", [0, 1, 2, 3, 4]),
        ("label=~error", [8]),
        ("source=south", [5, 6, 7, 8]),
        ("source=south&label=en", [5, 6, 7]),
        ("since=2026-01-02&until=2026-01-03", [5, 6, 7]),
        ("since=2026-01-02T10:00:00Z&until=2026-01-02T11:00:00Z", [5, 6, 7]),
        ("since=1900-01-01", list(range(9))),
        ("until=1900-01-01", []),
        ("label=xx", []),
        ("topic=none", []),
    ],
)
def test_the_texts_behind_each_bar(api: ApiClient, query: str, rows: list[int]) -> None:
    batch_id = _coloured(api)
    assert [line["row"] for line in lines_of(api, batch_id, f"?{query}")] == rows
    page = api.get(f"/jobs/{batch_id}/results?format=json&limit=100&{query}").json()
    assert [item["row"] for item in page["items"]] == rows
    assert api.get(f"/jobs/{batch_id}/summary?{query}").json()["rows"] == len(rows)


def test_pages_follow_one_another(api: ApiClient) -> None:
    batch_id = _coloured(api)
    seen, cursor = [], ""
    for _ in range(3):
        page = api.get(f"/jobs/{batch_id}/results?format=json&limit=4&cursor={cursor}").json()
        seen += [item["row"] for item in page["items"]]
        cursor = page["next_cursor"] or ""
    assert (seen, cursor) == (list(range(9)), "")


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("format=pdf", "format_unknown"),
        ("since=soon", "time_invalid"),
        ("format=json&cursor=abc", "cursor_invalid"),
        ("format=json&cursor=-1", "cursor_invalid"),
        ("format=json&limit=101", "limit_invalid"),
    ],
)
def test_a_wrong_query_is_refused(api: ApiClient, query: str, code: str) -> None:
    batch_id = batch_start(api, ["x"])
    assert api.get(f"/jobs/{batch_id}/results?{query}").json()["error"]["code"] == code


def test_sources_beyond_the_bound_are_counted_together(api: ApiClient) -> None:
    batch_id = batch_start(api, [{"text": "x", "source": f"s{n}"} for n in range(35)] + [{"text": "x"}])
    jobs_run()
    found = {bar["name"]: bar["rows"] for bar in api.get(f"/jobs/{batch_id}/summary").json()["sources"]}
    assert (len(found), found["~other"], found["~none"]) == (32, 5, 1)
    assert len(lines_of(api, batch_id, "?source=~other")) == 5


def test_topics_name_what_texts_are_about(api: ApiClient, models: fakes.FakeModels) -> None:
    assert topics.embed_texts.__self__ is models
    kinds = [
        "The parcel arrived late because the courier lost the parcel on delivery.",
        "Please refund the invoice, the invoice payment was charged twice.",
        "The password reset fails and the login page shows an error.",
    ]
    items = [f"{kinds[n % 3]} Case {n}." for n in range(120)]
    batch_id = batch_start(api, items, topics=True)
    jobs_run()
    found = api.get(f"/jobs/{batch_id}/summary").json()["topics"]
    assert sum(bar["rows"] for bar in found) == 120
    assert all(bar["name"] for bar in found)
    by_kind = [{line["topic"] for line in lines_of(api, batch_id) if line["row"] % 3 == kind} for kind in range(3)]
    assert by_kind[0] & by_kind[1] == by_kind[1] & by_kind[2] == by_kind[0] & by_kind[2] == set()
    bar = found[0]["name"]
    assert {line["topic"] for line in lines_of(api, batch_id, f"?topic={bar}")} == {bar}


def test_few_texts_have_no_topics(api: ApiClient) -> None:
    batch_id = batch_start(api, ["one", "two"], topics=True)
    jobs_run()
    info = api.get(f"/jobs/{batch_id}").json()
    assert (info["topics"], info["topics_note"], info["status"]) == ([], "too_few", "done")


def test_what_ended_is_an_event(api: ApiClient, tenant: Any) -> None:
    from apps.events.models import Event

    batch_id = batch_start(api, ["x"])
    jobs_run()
    with tenant_scope(tenant.id):
        assert Event.objects.filter(type="batch.finished", subject_id=batch_id).count() == 1


def test_a_filter_of_nothing_is_all() -> None:
    assert RowFilter() == RowFilter("", "", "", None, None)
