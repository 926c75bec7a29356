"""Random requests to all that programs and browsers can ask give no server error, and every error has its one shape (H7).

`make fuzz REQUESTS=20000` sends more; the same number makes the same requests every time.
"""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.fuzz.asking import Asker, operations, strategies
from tests.matrix.operations import OPERATIONS, Operation
from tests.matrix.world import World
from tests.odd_texts import odd_texts

FOUND = list(operations())
WITH_BODY = [operation for operation in OPERATIONS if operation.body_schema]


@pytest.fixture(scope="module")
def asker(world: World) -> Asker:
    return Asker(world)


@pytest.fixture(scope="module")
def examples(pytestconfig: pytest.Config) -> int:
    """How many requests each operation gets."""
    # What takes no input has one request to offer.
    taking = [one for _, one in FOUND if one.body or one.query or one.path_parameters]
    return math.ceil(int(pytestconfig.getoption("--requests")) / len(taking))


@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("document", "operation"), FOUND, ids=[f"{one.method.upper()} {one.path}" for _, one in FOUND])
def test_random_requests_give_no_server_error(
    document: str, operation: Any, asker: Asker, examples: int, django_db_blocker: Any
) -> None:
    """All are sent before the verdict: one fault does not hide the next."""
    asker.faults.clear()

    @settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=st.one_of(strategies(operation)))
    def ask(case: Any) -> None:
        asker.ask(document, case)

    with django_db_blocker.unblock():
        ask()
    assert asker.faults == []


def _with_text(value: Any, text: str) -> Any:
    """Return the value with `text` for each of its texts and as a further field."""
    if isinstance(value, dict):
        return {name: _with_text(one, text) for name, one in value.items()} | {text[:100]: text}
    if isinstance(value, list):
        return [_with_text(one, text) for one in value] or [text]
    return text if isinstance(value, str) or value is None else value


@pytest.mark.parametrize("operation", WITH_BODY, ids=str)
def test_500_odd_texts_give_no_server_error(operation: Operation, asker: Asker, django_db_blocker: Any) -> None:
    """Each text in every field of one operation after the other: 500 texts over all of them, and 30 to each."""
    asker.faults.clear()
    place = WITH_BODY.index(operation)
    texts = odd_texts()
    chosen = texts[place :: len(WITH_BODY)] + texts[:30]
    path = "/api/v1" + operation.fill(asker.world.ids)
    with django_db_blocker.unblock():
        for text in chosen:
            body = json.dumps(_with_text(operation.body(), text)).encode()
            asker.sent += 1
            asker.send("api", operation.method, path, body, "application/json")
    assert asker.faults == []


def test_most_requests_reach_something(asker: Asker, request: pytest.FixtureRequest) -> None:
    """The control: a run in which everything is refused at the door would prove nothing."""
    print(f"{asker.sent} requests", dict(sorted(asker.statuses.items())))
    assert asker.sent >= len(FOUND)
    assert asker.statuses.get(401, 0) == asker.statuses.get(429, 0) == 0
    assert sum(count for status, count in asker.statuses.items() if status < 300) > asker.sent / 20
