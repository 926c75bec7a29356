"""What a machine could do at best."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.machine import DecoderCost, Limits, encoder_rate

# 100 weights of one byte, 10 bytes of cache a token.
COST = DecoderCost(parameters=100, weight_bytes=100, kv_token_bytes=10)


def test_one_stream_is_bound_by_the_weights_that_are_read() -> None:
    limit = Limits(bytes_s=1000, ops_s=1e12)
    assert COST.tokens_per_s(limit, streams=1, own=0, shared=0, answer=0.0001) == pytest.approx(10, rel=1e-3)


def test_many_streams_are_bound_by_arithmetic() -> None:
    limit = Limits(bytes_s=1e12, ops_s=2000)
    assert COST.tokens_per_s(limit, streams=50, own=0, shared=0, answer=10) == pytest.approx(10)


def test_prompts_are_computed_and_what_is_shared_only_read() -> None:
    limit = Limits(bytes_s=1e12, ops_s=2000)
    assert COST.tokens_per_s(limit, streams=50, own=10, shared=0, answer=10) == pytest.approx(5)
    assert COST.tokens_per_s(limit, streams=50, own=0, shared=1000, answer=10) == pytest.approx(10)


def test_the_first_token_waits_for_the_prompts_before_it() -> None:
    limit = Limits(bytes_s=1000, ops_s=2000)
    assert COST.first_token_s(limit, prompts=8, own=10) == pytest.approx(8)
    assert COST.first_token_s(limit, prompts=1, own=0.1) == pytest.approx(0.1)


def test_an_encoder_computes_each_token_of_its_texts(tmp_path: Path) -> None:
    shape = {"hidden_size": 2, "intermediate_size": 4, "num_hidden_layers": 3}
    (tmp_path / "config.json").write_text(json.dumps(shape))
    # 3 layers of 2 * (4 * 4 + 2 * 8) operations a token, and 4 * 10 * 10 * 2 of attention.
    operations = 3 * (10 * 64 + 800)
    assert encoder_rate(tmp_path, [10, 10], Limits(1, operations * 5)) == pytest.approx(5)
