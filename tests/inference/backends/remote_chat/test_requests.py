"""What the remote chat backend sends, and with which settings."""

from __future__ import annotations

import socket
import time
from pathlib import Path
from typing import Any

import pytest

from apps.inference.engine.backends.remote_chat import RemoteChat, break_up
from apps.inference.engine.errors import ModelUnavailable, Unsupported
from apps.inference.engine.types import ChatMessage, EngineConfig, ModelSpec
from tests.inference.backends.collecting import ask, say
from tests.inference.backends.remote_chat.asking import Make
from tests.inference.backends.remote_server import DONE, ModelServer, answer, blocks, event, reply


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
