"""The remote chat backend against a server of this suite on real sockets. It has not been run against a real vLLM."""

from __future__ import annotations

import pytest

from tests.inference.backends.collecting import ask, say
from tests.inference.backends.remote_chat.asking import Make
from tests.inference.backends.remote_server import DONE, ModelServer, answer, blocks, delta, event, usage


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
