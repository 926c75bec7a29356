"""What the remote chat backend makes of refusals, and what it sends again."""

from __future__ import annotations

import time
from typing import Any

import pytest

from apps.inference.engine.errors import DeadlineExceeded, ModelUnavailable, Overloaded, PromptTooLong, Unsupported
from tests.inference.backends.collecting import ask, say
from tests.inference.backends.remote_chat.asking import Make, failed
from tests.inference.backends.remote_server import ModelServer, answer, blocks, delta, drop, reply


# -- refusals ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "error",
    [
        {"message": "This model's maximum context length is 4096 tokens. However, you requested 5000.", "code": 400},
        {"message": "too long", "type": "invalid_request_error", "code": "context_length_exceeded"},
        {"message": "request (9 tokens) exceeds the available context size (4)", "type": "exceed_context_size_error"},
        {"message": "the prompt has 9000 tokens", "code": "prompt_too_long"},
    ],
)
def test_long_prompt_is_recognised(make: Make, server: ModelServer, error: dict[str, Any]) -> None:
    server.chat(reply({"error": error}, 400))
    assert isinstance(failed(make), PromptTooLong)


@pytest.mark.parametrize("status", [400, 422])
def test_refused_parameter_is_named(make: Make, server: ModelServer, status: int) -> None:
    server.chat(reply({"error": {"message": "top_k is too large", "param": "top_k", "code": None}}, status))
    error = failed(make)
    assert isinstance(error, Unsupported)
    assert (error.parameter, "too large" in str(error), len(server.requests)) == ("top_k", True, 1)


@pytest.mark.parametrize(
    ("status", "words"), [(401, "key"), (403, "key"), (404, "no model"), (500, "500"), (302, "302"), (204, "204")]
)
def test_other_statuses_are_told_and_not_repeated(make: Make, server: ModelServer, status: int, words: str) -> None:
    server.chat(reply({"error": {"message": "sorry"}}, status, {"Location": "http://127.0.0.1:1/"}))
    error = failed(make)
    assert isinstance(error, ModelUnavailable)
    assert (words in str(error), len(server.requests)) == (True, 1)


@pytest.mark.parametrize("secret", ["sk-secret", "Bearer"])
def test_errors_do_not_tell_the_key(make: Make, server: ModelServer, secret: str) -> None:
    server.chat(reply({"error": {"message": "no"}}, 401))
    assert secret not in str(failed(make, api_key_env="VLLM_KEY"))


# -- repetition -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("first", [reply({}, 429), reply({}, 502), reply({}, 503), reply({}, 504), drop])
def test_passing_refusals_are_sent_again(make: Make, server: ModelServer, first: Any) -> None:
    server.chat(first, first, answer("third time"))
    assert (say(make(), "Hi"), len(server.requests)) == ("third time", 3)


def test_repetitions_end(make: Make, server: ModelServer) -> None:
    server.chat(reply({}, 503))
    assert isinstance(failed(make), ModelUnavailable)
    assert len(server.requests) == 3


def test_busy_server_is_told_as_busy(make: Make, server: ModelServer) -> None:
    server.chat(reply({}, 429))
    assert isinstance(failed(make), Overloaded)


@pytest.mark.parametrize("value", ["0.6", "1"])
def test_retry_after_is_kept(make: Make, server: ModelServer, value: str) -> None:
    server.chat(reply({}, 429, {"Retry-After": value}), answer("ok"))
    began = time.monotonic()
    assert say(make(), "Hi") == "ok"
    assert time.monotonic() - began >= float(value)


def test_retry_after_as_a_date_is_kept(make: Make, server: ModelServer) -> None:
    when = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 2))
    server.chat(reply({}, 503, {"Retry-After": when}), answer("ok"))
    began = time.monotonic()
    assert say(make(), "Hi") == "ok"
    assert time.monotonic() - began >= 0.9


def test_retry_after_beyond_reason_ends_the_request(make: Make, server: ModelServer) -> None:
    server.chat(reply({}, 429, {"Retry-After": "3600"}), answer("ok"))
    began = time.monotonic()
    assert isinstance(failed(make), Overloaded)
    assert (time.monotonic() - began < 2, len(server.requests)) == (True, 1)


@pytest.mark.parametrize("value", ["soon", "", "-5", "nan", "inf"])
def test_unreadable_retry_after_is_passed_over(make: Make, server: ModelServer, value: str) -> None:
    server.chat(reply({}, 429, {"Retry-After": value}), answer("ok"))
    assert ask(make(), "Hi", deadline_s=5).ended(10).ends == 1


def test_repetitions_end_at_the_deadline(make: Make, server: ModelServer) -> None:
    server.chat(reply({}, 503, {"Retry-After": "20"}))
    done = ask(make(), "Hi", deadline_s=0.5).ended(5)
    assert isinstance(done.failed, DeadlineExceeded)


def test_nothing_is_sent_again_once_text_was_seen(make: Make, server: ModelServer) -> None:
    server.chat(blocks(delta("Hal")), answer("whole"))
    done = ask(make(), "Hi").ended()
    assert (done.text(), isinstance(done.failed, ModelUnavailable), len(server.requests)) == ("Hal", True, 1)
