"""The remote chat backend against a server of this suite on real sockets. It has not been run against a real vLLM."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from apps.core.egress import model_server_transport
from apps.inference.engine.backends import remote_breaker, remote_link
from apps.inference.engine.backends.remote_chat import RemoteChat, break_up
from apps.inference.engine.errors import DeadlineExceeded, ModelUnavailable, Overloaded, PromptTooLong, Unsupported
from apps.inference.engine.types import ChatMessage, EngineConfig, ModelSpec
from tests.inference.backends.collecting import ask, say
from tests.inference.backends.remote_server import (
    DONE,
    ModelServer,
    answer,
    begin_stream,
    blocks,
    delta,
    drop,
    event,
    hang,
    reply,
    usage,
)

SECRETS = {"VLLM_KEY": "sk-secret"}
Make = Callable[..., RemoteChat]


@pytest.fixture
def server() -> Iterator[ModelServer]:
    running = ModelServer()
    running.chat(answer("Hello", " there"))
    yield running
    running.close()


@pytest.fixture
def make(server: ModelServer) -> Iterator[Make]:
    """Returns a loaded backend of the server; takes options, and `adapters`."""
    made: list[RemoteChat] = []

    def build(*, source: str = "", adapters: dict[str, str] | None = None, **options: Any) -> RemoteChat:
        spec = ModelSpec(
            name="far",
            role="chat",
            backend="remote",
            source=source or f"remote:{server.base}",
            revision="",
            files={},
            licence="",
            context_tokens=4096,
            adapters=adapters or {},
            options={"model": "served-name", "timeout_s": 2.0, "retries": 2, **options},
        )
        config = EngineConfig(Path(), transport=model_server_transport, secret=lambda name: SECRETS.get(name, ""))
        backend = RemoteChat(spec, Path(), config)
        backend.load()
        made.append(backend)
        return backend

    yield build
    for backend in made:
        backend.stop()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short pauses."""
    monkeypatch.setattr(remote_link, "_FIRST_BACKOFF_S", 0.02)
    monkeypatch.setattr(remote_breaker, "FIRST_PAUSE_S", 0.3)


def failed(make: Make, **options: Any) -> Any:
    """Return the error of one request."""
    return ask(make(**options), "Hi").ended(15).failed


# -- what is passed on ------------------------------------------------------------------------------------------------
def test_stream_is_passed_on_with_its_figures(make: Make) -> None:
    done = ask(make(), "Hi").ended()
    assert done.stats is not None
    assert ([piece.text for piece in done.pieces], done.ends) == (["Hello", " there"], 1)
    assert (done.stats.prompt_tokens, done.stats.completion_tokens, done.stats.finish_reason) == (7, 2, "stop")


def test_pieces_come_while_the_server_still_writes(make: Make, server: ModelServer) -> None:
    server.chat(answer("a", "b", "c", "d", pause_s=0.2))
    done = ask(make(), "Hi").ended()
    assert done.times[-1] - done.times[0] > 0.4


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50, 5000])
def test_stream_may_be_cut_anywhere(make: Make, server: ModelServer, size: int) -> None:
    """Comments, CRLF, other fields, several data lines, characters of several bytes."""
    raw = b"".join(
        (
            b": ping\n\n",
            delta("Füße 😀 "),
            'event: message\r\nid: 3\r\ndata: {"choices": [{"delta": {"content": "中"}}]}\r\n\r\n'.encode(),
            'data: {"choices": [{"index": 0,\ndata: "delta": {"content": "文"}}]}\n\n'.encode(),
            b":\n\n",
            delta(finish="length"),
            usage(3, 4, choices=None),
            DONE,
        )
    )
    server.chat(blocks(*(raw[start : start + size] for start in range(0, len(raw), size)), pause_s=0.0))
    done = ask(make(), "Hi").ended()
    assert done.stats is not None
    assert (done.text(), done.stats.finish_reason, done.stats.completion_tokens) == ("Füße 😀 中文", "length", 4)


def test_stream_without_its_last_words_counts_when_all_is_there(make: Make, server: ModelServer) -> None:
    server.chat(blocks(delta("done"), delta(finish="stop").rstrip(b"\n")))
    assert say(make(), "Hi") == "done"


def test_choices_are_told_apart(make: Make, server: ModelServer) -> None:
    parts = [delta("b", index=1), delta("a"), delta("B", index=1, finish="length"), delta("A", finish="stop")]
    server.chat(blocks(*parts, usage(5, 9), DONE))
    done = ask(make(), "Hi", n=2).ended()
    assert done.stats is not None
    assert [done.text(index) for index in range(2)] == ["aA", "bB"]
    assert (done.stats.finish_reasons, done.stats.completion_tokens) == (("stop", "length"), 9)


def test_log_probabilities_of_chat(make: Make, server: ModelServer) -> None:
    ranked = [{"token": "Hi", "logprob": -0.1}, {"token": "Ho", "logprob": -3.0}]
    content = [{"token": "Hi", "logprob": -0.1, "top_logprobs": ranked}]
    server.chat(blocks(delta("Hi", logprobs={"content": content}), delta(finish="stop"), DONE))
    piece = ask(make(), "Hi", logprobs=2).ended().pieces[0]
    assert [(token.text, token.logprob, token.top) for token in piece.logprobs] == [
        ("Hi", -0.1, (("Hi", -0.1), ("Ho", -3.0)))
    ]


def test_log_probabilities_of_plain_completions(make: Make, server: ModelServer) -> None:
    logprobs = {"tokens": ["a", "b"], "token_logprobs": [None, -0.5], "top_logprobs": [None, {"c": -2.0, "b": -0.5}]}
    chunk = {"choices": [{"index": 0, "text": "ab", "logprobs": logprobs, "finish_reason": "stop"}]}
    server.on("/v1/completions", blocks(event(chunk), DONE))
    piece = ask(make(), prompt="x", logprobs=2).ended().pieces[0]
    assert [(token.text, token.logprob, token.top) for token in piece.logprobs] == [
        ("a", 0.0, ()),
        ("b", -0.5, (("b", -0.5), ("c", -2.0))),
    ]


def test_thoughts_are_not_shown(make: Make, server: ModelServer) -> None:
    thought = event({"choices": [{"index": 0, "delta": {"reasoning_content": "hm", "content": None}}]})
    server.chat(blocks(thought, delta("So."), delta(finish="stop"), DONE))
    assert say(make(), "Hi") == "So."


def test_counters_add_up_what_servers_report(make: Make, server: ModelServer) -> None:
    server.chat(blocks(delta("x", finish="stop"), usage(50, 1, cached=32), DONE))
    backend = make()
    say(backend, "Hi"), say(backend, "Hi")
    info = backend.info()
    assert (info.prompt_tokens, info.cached_tokens, info.generated_tokens) == (100, 64, 2)


# -- what is sent -----------------------------------------------------------------------------------------------------
def test_default_request_names_only_what_every_server_knows(make: Make, server: ModelServer) -> None:
    turns = (ChatMessage("system", "Be brief."), ChatMessage("user", "Hi"))
    ask(make(), messages=turns).ended()
    assert server.requests[-1][0] == "/v1/chat/completions"
    assert server.bodies[-1] == {
        "model": "served-name",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}],
        "max_tokens": 160,
        "temperature": 0.0,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


CONTROLS = {"top_p": 0.9, "top_k": 40, "min_p": 0.05, "repetition_penalty": 1.1, "presence_penalty": 0.5}
CONTROLS |= {"frequency_penalty": 0.25, "seed": 11, "n": 3}


def test_controls_are_sent_by_their_names(make: Make, server: ModelServer) -> None:
    ask(make(), "Hi", stop=("\n", "END"), **CONTROLS)
    ask(make(), "Hi", stop=("\n", "END"), **CONTROLS).cancel()
    deadline = time.monotonic() + 5
    while not server.requests and time.monotonic() < deadline:
        time.sleep(0.02)
    sent = server.bodies[0]
    assert {name: sent[name] for name in CONTROLS} == CONTROLS
    assert sent["stop"] == ["\n", "END"]


@pytest.mark.parametrize(
    ("schema", "options", "sent"),
    [
        ({}, {}, {"response_format": {"type": "json_object"}}),
        (
            {"type": "array"},
            {},
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "answer", "schema": {"type": "array"}, "strict": True},
                }
            },
        ),
        ({"type": "array"}, {"json_schema": "guided_json"}, {"guided_json": {"type": "array"}}),
    ],
)
def test_json_schema_is_sent_as_the_server_wants_it(
    make: Make, server: ModelServer, schema: dict[str, Any], options: dict[str, Any], sent: dict[str, Any]
) -> None:
    ask(make(**options), "Hi", json_schema=schema).ended()
    assert {name: server.bodies[-1].get(name) for name in sent} == sent


def test_raw_prompt_goes_to_plain_completions(make: Make, server: ModelServer) -> None:
    chunk = {"choices": [{"index": 0, "text": " 6,", "finish_reason": "length"}]}
    server.on("/v1/completions", blocks(event(chunk), DONE))
    done = ask(make(), prompt="1, 2, 3, 4, 5,", logprobs=4).ended()
    sent = server.bodies[-1]
    assert (done.text(), sent["prompt"], sent["logprobs"], "messages" in sent) == (" 6,", "1, 2, 3, 4, 5,", 4, False)


def test_beam_search_comes_as_one_object_best_first(make: Make, server: ModelServer) -> None:
    choices = [
        {"index": index, "message": {"content": text}, "finish_reason": "stop"} for index, text in enumerate("abcd")
    ]
    server.chat(reply({"choices": choices, "usage": {"prompt_tokens": 3, "completion_tokens": 4}}))
    done = ask(make(capabilities=["beams"]), "Hi", beams=4, n=2).ended()
    sent = server.bodies[-1]
    assert ([done.text(index) for index in range(3)], done.ends) == (["a", "b", ""], 1)
    assert (sent["use_beam_search"], sent["n"], sent["stream"]) == (True, 4, False)


def test_adapter_is_a_model_of_its_own_at_the_server(make: Make, server: ModelServer) -> None:
    backend = make(adapters={"polite": "remote:served-polite"})
    ask(backend, "Hi", adapter="polite").ended()
    with pytest.raises(Unsupported):
        ask(backend, "Hi", adapter="rude")
    assert server.bodies[-1]["model"] == "served-polite"


@pytest.mark.parametrize(
    "text", ["<|im_start|>system", "<|eot_id|>", "</s>", "[INST]", "<<SYS>>", "<start_of_turn>model", "\ud800"]
)
def test_control_tokens_in_the_text_are_broken_up(make: Make, server: ModelServer, text: str) -> None:
    ask(make(), f"a {text} b").ended()
    sent = server.bodies[-1]["messages"][0]["content"]
    assert (sent == break_up(f"a {text} b"), text in sent, sent.startswith("a ")) == (True, False, True)


def test_ordinary_markup_is_left_alone() -> None:
    assert break_up("if a < b and c > d: <p>[x]</p> | y |") == "if a < b and c > d: <p>[x]</p> | y |"


def test_key_is_sent_and_named_by_its_setting(make: Make, server: ModelServer) -> None:
    ask(make(api_key_env="VLLM_KEY"), "Hi").ended()
    assert server.requests[-1][1]["authorization"] == "Bearer sk-secret"


def test_connections_are_kept(make: Make, server: ModelServer) -> None:
    server.chat(reply({"choices": [{"index": 0, "message": {"content": "x"}, "finish_reason": "stop"}]}))
    backend = make()
    assert [say(backend, "Hi") for _ in range(3)] == ["x"] * 3


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


# -- bad servers ------------------------------------------------------------------------------------------------------
ERROR = event({"error": {"message": "CUDA out of memory", "type": "server_error", "code": 500}})
BAD_STREAMS = {
    "cut after text": [delta("a")],
    "cut inside a line": [delta("a"), b'data: {"choices": [{"del'],
    "end without a reason": [delta("a"), DONE],
    "nothing at all": [],
    "only the last word": [DONE],
    "one choice missing": [delta("a", finish="stop", index=5), DONE],
    "error inside": [delta("a"), ERROR],
    "error of older servers": [event({"object": "error", "message": "bad", "code": 40303})],
    "aborted": [delta("a", finish="abort"), DONE],
    "no JSON": [b"data: <html>\n\n"],
    "a list": [event([1, 2])],
    "a number": [event(b"5")],
    "choices of another kind": [event({"choices": "abc"})],
    "choice of another kind": [event({"choices": [7]})],
    "text of another kind": [event({"choices": [{"index": 0, "delta": {"content": 5}}]})],
    "index of another kind": [event({"choices": [{"index": "x", "delta": {"content": "a"}}]})],
    "deep": [event(b"[" * 100_000)],
    "an endless line": [b"data: " + b"x" * 700_000, b"x" * 700_000],
    "bytes": [bytes(range(256)) * 50],
}


@pytest.mark.parametrize("name", BAD_STREAMS)
def test_bad_stream_ends_in_an_error(make: Make, server: ModelServer, name: str) -> None:
    server.chat(blocks(*BAD_STREAMS[name]))
    done = ask(make(), "Hi").ended(10)
    assert (type(done.failed).__mro__[1], done.ends) == (ModelUnavailable, 1)


@pytest.mark.parametrize("content", [b"", b"<html>", b"[]", b'{"choices": []}', b'{"a": 1}'])
def test_bad_object_ends_in_an_error(make: Make, server: ModelServer, content: bytes) -> None:
    server.chat(reply(content))
    assert isinstance(failed(make), ModelUnavailable)


def test_error_inside_the_stream_is_told(make: Make, server: ModelServer) -> None:
    server.chat(blocks(ERROR))
    assert "CUDA out of memory" in str(failed(make))


def test_endless_stream_is_cut(make: Make, server: ModelServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.inference.engine.backends.remote_stream.MAX_STREAM_BYTES", 200_000)
    server.chat(blocks(*(delta("y" * 1000) for _ in range(1000))))
    assert "more than a stream may hold" in str(failed(make))


def test_answer_in_an_encoding_is_refused(make: Make, server: ModelServer) -> None:
    """What inflates is not read at all."""
    server.chat(reply(b"\x1f\x8b", 200, {"Content-Encoding": "gzip"}))
    assert "encoding" in str(failed(make))


def test_garbage_instead_of_http_is_told(make: Make) -> None:
    listener = socket.create_server(("127.0.0.1", 0))

    def speak() -> None:
        while True:
            try:
                client = listener.accept()[0]
            except OSError:
                return
            with client:
                client.recv(4096)
                client.sendall(b"SSH-2.0-OpenSSH_9.6\r\n" * 10)

    threading.Thread(target=speak, daemon=True).start()
    port = listener.getsockname()[1]
    error = failed(make, source=f"remote:http://127.0.0.1:{port}/v1", retries=0)
    listener.close()
    assert isinstance(error, ModelUnavailable)


def test_server_that_is_not_there_is_told(make: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    error = failed(make, source=f"remote:http://127.0.0.1:{port}/v1")
    assert isinstance(error, ModelUnavailable)
    assert "connected" in str(error)


def test_hanging_server_is_given_up_after_the_wait(make: Make, server: ModelServer) -> None:
    server.chat(hang())
    began = time.monotonic()
    error = failed(make, timeout_s=0.5)
    assert isinstance(error, ModelUnavailable)
    assert ("stopped sending" in str(error), time.monotonic() - began < 5) == (True, True)


def test_server_that_stops_in_the_middle_is_given_up(make: Make, server: ModelServer) -> None:
    def stall(handler: Any) -> None:
        begin_stream(handler)
        handler.wfile.write(delta("Hal"))
        handler.wfile.flush()
        time.sleep(20)

    server.chat(stall)
    done = ask(make(timeout_s=0.5), "Hi").ended(5)
    assert (done.text(), isinstance(done.failed, ModelUnavailable)) == ("Hal", True)


def test_deadline_ends_a_stream_that_goes_on(make: Make, server: ModelServer) -> None:
    server.chat(answer(*"abcdefghij" * 10, pause_s=0.1))
    done = ask(make(), "Hi", deadline_s=0.6).ended(5)
    assert (isinstance(done.failed, DeadlineExceeded), len(done.text()) > 1, done.ends) == (True, True, 1)


# -- cancelling and stopping ------------------------------------------------------------------------------------------
def test_cancel_closes_the_connection_at_once(make: Make, server: ModelServer) -> None:
    def wait(handler: Any) -> None:
        begin_stream(handler)
        handler.wfile.write(delta("Once"))
        handler.wfile.flush()
        server.until_gone(handler)

    server.chat(wait)
    backend = make(slots=1)
    running = ask(backend, "Hi").begun()
    cancelled = time.monotonic()
    running.cancel()
    running.cancel()
    assert server.gone.wait(5)
    assert server.gone_at - cancelled < 1
    server.chat(answer("next"))
    assert (say(backend, "Hi"), running.ends) == ("next", 0)


def test_cancel_before_the_answer_closes_the_connection(make: Make, server: ModelServer) -> None:
    server.chat(server.until_gone)
    running = ask(make(timeout_s=30), "Hi")
    while not server.requests:
        time.sleep(0.01)
    running.cancel()
    assert (server.gone.wait(5), running.ends, running.pieces) == (True, 0, [])


def test_slots_are_a_bound(make: Make, server: ModelServer) -> None:
    server.chat(server.until_gone)
    backend = make(slots=2)
    running = [ask(backend, "Hi") for _ in range(2)]
    with pytest.raises(Overloaded):
        ask(backend, "Hi")
    running[0].cancel()
    ask(backend, "Hi").cancel()
    running[1].cancel()


def test_many_streams_run_side_by_side_on_one_thread(make: Make, server: ModelServer) -> None:
    server.chat(answer("a", "b", "c", pause_s=0.2))
    backend = make(slots=40)
    threads = threading.active_count()
    began = time.monotonic()
    running = [ask(backend, "Hi") for _ in range(40)]
    added = sum("remote" in thread.name for thread in threading.enumerate())
    assert [one.ended(30).text() for one in running] == ["abc"] * 40
    assert (added, time.monotonic() - began < 15, threads > 0) == (1, True, True)


def test_stop_ends_what_runs(make: Make, server: ModelServer) -> None:
    server.chat(server.until_gone)
    backend = make()
    running = ask(backend, "Hi")
    while not server.requests:
        time.sleep(0.01)
    backend.stop()
    assert isinstance(running.ended(5).failed, ModelUnavailable)
    assert (server.gone.wait(5), backend.health()) == (True, False)
    with pytest.raises(ModelUnavailable):
        ask(backend, "Hi")


# -- the breaker ------------------------------------------------------------------------------------------------------
def test_breaker_opens_then_half_opens_and_recovers(make: Make, server: ModelServer) -> None:
    server.chat(reply({}, 500))
    backend = make(retries=0)
    errors = [str(ask(backend, "Hi").ended().failed) for _ in range(5)]
    began = time.monotonic()
    refused = ask(backend, "Hi").ended()
    assert (["500" in error for error in errors], len(server.requests)) == ([True] * 5, 5)
    assert ("keeps failing" in str(refused.failed), time.monotonic() - began < 0.25) == (True, True)
    server.chat(answer("back"))
    time.sleep(0.4)
    assert say(backend, "Hi") == "back"
    assert [say(backend, "Hi") for _ in range(3)] == ["back"] * 3


def test_half_open_breaker_lets_one_probe_through(make: Make, server: ModelServer) -> None:
    server.chat(reply({}, 500))
    backend = make(retries=0)
    [ask(backend, "Hi").ended() for _ in range(5)]
    server.chat(answer("slow", "ly", pause_s=0.4))
    time.sleep(0.4)
    running = [ask(backend, "Hi") for _ in range(6)]
    texts = sorted(one.ended().text() for one in running)
    assert (texts, len(server.requests)) == ([""] * 5 + ["slowly"], 6)


def test_pause_grows_with_each_failed_probe(make: Make, server: ModelServer) -> None:
    server.chat(reply({}, 500))
    backend = make(retries=0)
    [ask(backend, "Hi").ended() for _ in range(5)]
    time.sleep(0.4)
    ask(backend, "Hi").ended()
    time.sleep(0.4)
    refused = ask(backend, "Hi").ended()
    assert ("keeps failing" in str(refused.failed), len(server.requests)) == (True, 6)


def test_cancelled_probe_leaves_the_way_free_for_another(make: Make, server: ModelServer) -> None:
    server.chat(reply({}, 500))
    backend = make(retries=0)
    [ask(backend, "Hi").ended() for _ in range(5)]
    server.chat(server.until_gone, answer("back"))
    time.sleep(0.4)
    probe = ask(backend, "Hi")
    while len(server.requests) < 6:
        time.sleep(0.01)
    probe.cancel()
    assert server.gone.wait(5)
    assert say(backend, "Hi") == "back"


@pytest.mark.parametrize(
    "behaviour", [blocks(delta("a")), reply(b"<html>"), reply({}, 503), drop, hang(3)], ids=lambda one: ""
)
def test_every_kind_of_failure_opens_the_breaker(make: Make, server: ModelServer, behaviour: Any) -> None:
    server.chat(behaviour)
    backend = make(retries=0, timeout_s=0.3)
    [ask(backend, "Hi").ended() for _ in range(5)]
    assert "keeps failing" in str(ask(backend, "Hi").ended().failed)


def test_hanging_until_the_deadline_opens_the_breaker(make: Make, server: ModelServer) -> None:
    server.chat(hang(5))
    backend = make(retries=0)
    [ask(backend, "Hi", deadline_s=0.2).ended() for _ in range(5)]
    assert "keeps failing" in str(ask(backend, "Hi").ended().failed)


@pytest.mark.parametrize("status", [400, 401, 404, 429])
def test_refusals_do_not_open_the_breaker(make: Make, server: ModelServer, status: int) -> None:
    server.chat(reply({"error": {"message": "no"}}, status))
    backend = make(retries=0)
    [ask(backend, "Hi").ended() for _ in range(7)]
    assert len(server.requests) == 7


# -- settings and health ----------------------------------------------------------------------------------------------
def test_health_is_the_servers(make: Make, server: ModelServer) -> None:
    backend = make()
    healthy = backend.health()
    server.on("/v1/models", reply({}, 503))
    assert (healthy, backend.health()) == (True, False)


def test_health_check_closes_an_open_breaker(make: Make, server: ModelServer) -> None:
    server.chat(reply({}, 500))
    backend = make(retries=0)
    [ask(backend, "Hi").ended() for _ in range(5)]
    while_open = backend.health()
    server.chat(answer("back"))
    time.sleep(0.4)
    assert (while_open, backend.health(), say(backend, "Hi")) == (False, True, "back")


def test_server_may_come_up_later(make: Make, server: ModelServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    backend = make(source=f"remote:http://127.0.0.1:{port}/v1")
    later = ModelServer(port)
    later.chat(answer("up"))
    assert say(backend, "Hi") == "up"
    later.close()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"api_key_env": "NOT_SET"}, "NOT_SET"),
        ({"source": "remote:ftp://host/"}, "http"),
        ({"source": "remote:http://user:pw@host/v1"}, "api_key_env"),
        ({"source": "remote:http://host/v1?key=1"}, "api_key_env"),
        ({"source": "remote:"}, "http"),
        ({"source": "path:/models"}, "remote:"),
        ({"timeout_s": 0}, "above 0"),
        ({"timeout_s": "soon"}, "number"),
        ({"retries": 99}, "retries"),
        ({"slots": 0}, "slots"),
        ({"capabilities": ["telepathy"]}, "telepathy"),
    ],
)
def test_wrong_settings_are_told_at_the_start(make: Make, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ModelUnavailable, match=words):
        make(**options)


def test_process_without_a_transport_reaches_nothing(server: ModelServer) -> None:
    spec = ModelSpec("far", "chat", "remote", f"remote:{server.base}", "", {}, "", 4096)
    with pytest.raises(ModelUnavailable, match="no way"):
        RemoteChat(spec, Path(), EngineConfig(Path())).load()
