"""The shape of results, the ratios, and the table."""

from __future__ import annotations

import json

import pytest

from bench.results import OURS, VARIANT, Samples, case, ratio, table

CONTRACT = {"ours", "peers", "unit", "higher_is_better"}


def test_a_case_has_the_contracts_fields_and_is_plain_json() -> None:
    made = case(12.3456, {"peer": 1}, "tok/s", higher=True)
    assert set(made) == CONTRACT
    assert json.loads(json.dumps(made)) == made
    assert (made["ours"], made["peers"], made["higher_is_better"]) == (12.35, {"peer": 1.0}, True)


@pytest.mark.parametrize(
    ("ours", "peers", "higher", "expected"),
    [
        (20.0, {"a": 5.0, "b": 10.0}, True, 2.0),
        (20.0, {"a": 5.0, "b": 10.0}, False, 0.25),
        (5.0, {"a": 10.0, "b": 20.0}, False, 2.0),
        (20.0, {}, True, None),
        (20.0, {"a": 0.0}, True, None),
    ],
)
def test_the_ratio_is_to_the_best_peer_and_above_one_is_better(
    ours: float, peers: dict[str, float], higher: bool, expected: float | None
) -> None:
    assert ratio(case(ours, peers, "x", higher=higher)) == expected


@pytest.mark.parametrize(("higher", "expected"), [(True, 0.25), (False, 4.0)])
def test_the_limit_ratio_is_one_at_the_limit(higher: bool, expected: float) -> None:
    assert case(25.0, {}, "x", higher=higher, limit=100.0)["limit_ratio"] == expected


def _samples() -> Samples:
    samples = Samples()
    for value in (1.0, 9.0, 5.0):
        samples.add("c", OURS, value)
        samples.add("c", "whole", value * 2)
        samples.add("c", f"{VARIANT}fast", value * 3)
    samples.add("c", "broken", 100.0)
    return samples


def test_values_are_medians_of_the_repetitions() -> None:
    made = _samples().case("c", "x", higher=True)
    assert (made["ours"], made["peers"]["whole"]) == (5.0, 10.0)


def test_a_peer_that_failed_midway_is_missing_with_its_reason() -> None:
    made = _samples().case("c", "x", higher=True, missing={"broken": "it has ended", "whole": "later"})
    assert made["missing"] == {"broken": "it has ended"}


def test_a_peer_that_was_measured_less_often_says_how_often() -> None:
    made = _samples().case("c", "x", higher=True)
    assert (made["peers"]["broken"], made["repetitions"]) == (100.0, {"broken": 1})


def test_another_model_of_ours_is_no_peer() -> None:
    made = _samples().case("c", "x", higher=True, missing={"broken": "it has ended"})
    assert made["variants"] == {"fast": 15.0}
    assert ratio(made) == 0.5


def test_a_case_that_was_not_measured_is_an_error() -> None:
    with pytest.raises(KeyError):
        Samples().case("c", "x", higher=True)


def test_the_table_shows_values_ratios_and_who_is_missing() -> None:
    made = case(20.0, {"slow": 5.0}, "tok/s", higher=True, limit=40.0, missing={"gone": "no such package"})
    head, row, absent = table({"suite": {"name": made}}).splitlines()
    assert head.split() == ["case", "ours", "unit", "ratio", "limit", "peers"]
    assert row.split() == ["suite:", "name", "20", "tok/s", "4.00", "0.50", "slow", "5"]
    assert absent == "not measured in suite: gone: no such package"
