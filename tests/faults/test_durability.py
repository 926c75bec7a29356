"""A small run of `bench.durability`: nothing acknowledged is lost, doubled or out of order when processes are killed."""

from __future__ import annotations

import pytest

from bench.durability import PROMISES, measure
from tests.stack import Stack

pytestmark = pytest.mark.stack


@pytest.mark.timeout(600)
def test_nothing_acknowledged_is_lost_or_doubled_when_every_process_is_killed(stack: Stack) -> None:
    verdict = measure(stack, sockets=30, messages=600, kills=1, pause_s=7, limit_s=150)
    assert verdict["acknowledged"] >= 600, verdict
    assert set(verdict["killed"]) == {"web", "worker-inference", "dispatcher", "valkey", "worker-default"}, verdict
    promises = (*PROMISES, "unfinished_replies")
    assert {name: verdict[name] for name in promises} == dict.fromkeys(promises, 0), verdict
