"""What a body of OpenAI's chat and completion routes asks the engine for, and which bodies are refused, and how."""

from __future__ import annotations

from typing import Any

import pytest

from apps.inference.services import catalogue
from apps.inference.types import ChatMessage, GenerateRequest
from tests.conftest import ApiClient
from tests.fakes import FakeModels
from tests.model_api.conftest import CHAT, EMBEDDING

pytestmark = pytest.mark.usefixtures("able")
HELLO = [{"role": "user", "content": "Say hello."}]


def chat(api: ApiClient, **body: Any) -> Any:
    return api.post("/v1/chat/completions", {"model": CHAT, "messages": HELLO, **body})


def plain(api: ApiClient, **body: Any) -> Any:
    return api.post("/v1/completions", {"model": CHAT, "prompt": "Once", **body})


def asked(answer: Any, models: FakeModels) -> GenerateRequest:
    assert answer.status_code == 200, answer.content
    return models.requests[-1]


def refused(answer: Any) -> tuple[int, str | None, str]:
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"]
    return answer.status_code, error["param"], error["code"]


# -- what is asked ---------------------------------------------------------------------------------------------------
def test_the_defaults_are_openais_and_bounded(api: ApiClient, models: FakeModels) -> None:
    turns = (ChatMessage("user", "Say hello."),)
    assert asked(chat(api), models) == GenerateRequest(messages=turns, max_tokens=512, temperature=1.0, model=CHAT)
    assert asked(plain(api), models) == GenerateRequest(prompt="Once", max_tokens=16, temperature=1.0, model=CHAT)


def test_every_control_reaches_the_engine(api: ApiClient, models: FakeModels) -> None:
    controls: dict[str, Any] = {
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 40,
        "min_p": 0.05,
        "repetition_penalty": 1.1,
        "presence_penalty": 0.2,
        "frequency_penalty": -0.3,
        "seed": 7,
        "n": 2,
    }
    found = asked(chat(api, **controls, stop=["a", "b"], max_completion_tokens=5), models)
    assert {name: getattr(found, name) for name in controls} == controls
    assert (found.stop, found.max_tokens) == (("a", "b"), 5)


@pytest.mark.parametrize(
    ("body", "field", "value"),
    [
        ({"stop": "x"}, "stop", ("x",)),
        ({"max_tokens": 9}, "max_tokens", 9),
        ({"max_tokens": 9, "max_completion_tokens": 4}, "max_tokens", 4),
        ({"top_k": -1}, "top_k", 0),
        ({"top_p": 0}, "temperature", 0.0),
        ({"temperature": 5e-324}, "temperature", 0.0),
        ({"temperature": None}, "temperature", 1.0),
        ({"logprobs": True}, "logprobs", 0),
        ({"logprobs": True, "top_logprobs": 3}, "logprobs", 3),
        ({"beams": 3}, "beams", 3),
        ({"use_beam_search": True}, "beams", 4),
        ({"use_beam_search": True, "beams": 2}, "beams", 2),
        ({"use_beam_search": False}, "beams", 1),
        ({"best_of": 2, "n": 2}, "n", 2),
        ({"response_format": {"type": "text"}}, "json_schema", None),
        ({"response_format": {"type": "json_object"}}, "json_schema", {}),
    ],
    ids=str,
)
def test_a_parameter_means_what_openai_and_vllm_mean(
    api: ApiClient, models: FakeModels, body: dict[str, Any], field: str, value: Any
) -> None:
    assert getattr(asked(chat(api, **body), models), field) == value


@pytest.mark.parametrize(
    "wanted",
    [
        {"type": "json_schema", "json_schema": {"name": "a", "strict": True, "schema": {"type": "object"}}},
        {"type": "json_object", "value": {"type": "object"}},
        {"type": "json", "value": {"type": "object"}},
    ],
    ids=["openai", "huggingface_hub", "tgi"],
)
def test_a_schema_is_taken_in_each_of_its_places(api: ApiClient, models: FakeModels, wanted: dict[str, Any]) -> None:
    assert asked(chat(api, response_format=wanted), models).json_schema == {"type": "object"}


def test_every_role_becomes_one_that_templates_know(api: ApiClient, models: FakeModels) -> None:
    call = {"id": "1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    turns = [
        {"role": "developer", "content": "Be short."},
        {"role": "system", "content": ""},
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "name": "Ana"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "content": "rain", "tool_call_id": "1"},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
        {"role": "user", "content": "And now?"},
    ]
    assert [(m.role, m.content) for m in asked(chat(api, messages=turns), models).messages] == [
        ("system", "Be short."),
        ("system", ""),
        ("user", "a\nb"),
        ("assistant", '{"name": "weather", "arguments": "{}"}'),
        ("user", "rain"),
        ("assistant", "No."),
        ("user", "And now?"),
    ]


@pytest.mark.parametrize("named", [{"model": "tuned", "adapter": "polite"}, {"model": "tuned:polite"}], ids=str)
def test_an_adapter_is_named_by_field_or_behind_a_colon(
    api: ApiClient, models: FakeModels, every_role: None, named: dict[str, str]
) -> None:
    found = asked(chat(api, **named), models)
    assert (found.model, found.adapter) == ("tuned", "polite")


def test_several_prompts_are_several_choices_in_order(api: ApiClient, models: FakeModels) -> None:
    models.say = lambda request: str(request.prompt)
    answer = plain(api, prompt=["one", "two"], n=2).json()
    assert [(c["index"], c["text"]) for c in answer["choices"]] == [(0, "one"), (1, "one"), (2, "two"), (3, "two")]
    assert answer["usage"] == {"prompt_tokens": 14, "completion_tokens": 4, "total_tokens": 18}


@pytest.mark.parametrize(
    "harmless",
    [
        {"user": "u1"},
        {"metadata": {"a": "b"}},
        {"store": False},
        {"service_tier": "auto"},
        {"safety_identifier": "x"},
        {"prompt_cache_key": "x"},
        {"parallel_tool_calls": True},
        {"tools": []},
        {"tool_choice": "none"},
        {"logit_bias": {}},
        {"modalities": ["text"]},
        {"audio": None},
        {"prediction": {"type": "content", "content": "x"}},
    ],
    ids=str,
)
def test_what_changes_no_result_is_accepted(api: ApiClient, models: FakeModels, harmless: dict[str, Any]) -> None:
    assert chat(api, **harmless).status_code == 200


# -- what is refused -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("param", "value"),
    [
        ("tools", [{"type": "function", "function": {"name": "f"}}]),
        ("tool_choice", "required"),
        ("functions", [{"name": "f"}]),
        ("function_call", {"name": "f"}),
        ("audio", {"voice": "x"}),
        ("modalities", ["text", "audio"]),
        ("logit_bias", {"1": 5}),
        ("store", True),
        ("reasoning_effort", "high"),
        ("web_search_options", {"a": 1}),
        ("best_of", 3),
    ],
)
def test_what_would_change_the_result_is_refused_by_name(
    api: ApiClient, models: FakeModels, param: str, value: Any
) -> None:
    assert refused(chat(api, **{param: value})) == (400, param, "unsupported_parameter")
    assert models.requests == []


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({"messages": []}, "messages", "invalid_value"),
        ({"messages": "hello"}, "messages", "invalid_value"),
        ({"messages": [{"role": "king", "content": "x"}]}, "messages[0].role", "invalid_value"),
        ({"messages": [{"content": "x"}]}, "messages[0].role", "missing_required_parameter"),
        ({"messages": [{"role": "user"}]}, "messages[0].content", "invalid_value"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content", "invalid_value"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]},
            "messages[0].content[0].type",
            "invalid_value",
        ),
        ({"messages": [*HELLO, {"role": "assistant", "content": "He"}]}, "messages[1].role", "invalid_value"),
        ({"temperature": 2.1}, "temperature", "invalid_value"),
        ({"temperature": "1"}, "temperature", "invalid_value"),
        ({"temperature": True}, "temperature", "invalid_value"),
        ({"top_p": -0.1}, "top_p", "invalid_value"),
        ({"min_p": 1}, "min_p", "invalid_value"),
        ({"repetition_penalty": 5e-324}, "repetition_penalty", "invalid_value"),
        ({"beams": 2, "response_format": {"type": "json_object"}}, "response_format", "unsupported_parameter"),
        ({"n": 9}, "n", "invalid_value"),
        ({"n": 0}, "n", "invalid_value"),
        ({"n": 3, "beams": 2}, "n", "invalid_value"),
        ({"use_beam_search": True, "beams": 1}, "beams", "invalid_value"),
        ({"max_tokens": 0}, "max_tokens", "invalid_value"),
        ({"max_tokens": 10**9}, "max_tokens", "invalid_value"),
        ({"stop": ["a", "b", "c", "d", "e"]}, "stop", "invalid_value"),
        ({"stop": [""]}, "stop[0]", "invalid_value"),
        ({"seed": 2**80}, "seed", "invalid_value"),
        ({"top_logprobs": 2}, "top_logprobs", "invalid_value"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs", "invalid_value"),
        ({"stream_options": {"include_usage": True}}, "stream_options", "invalid_value"),
        ({"response_format": {"type": "yaml"}}, "response_format.type", "invalid_value"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema", "invalid_value"),
        (
            {"response_format": {"type": "json_object", "value": {"enum": ["x" * 70_000]}}},
            "response_format",
            "invalid_value",
        ),
        ({"response_format": {"type": "json", "value": {"type": "nonsense"}}}, "response_format", "invalid_value"),
        ({"frobnicate": 1}, "frobnicate", "unknown_parameter"),
        ({"adapter": "none such"}, "adapter", "invalid_value"),
        ({"messages": [{"role": "user", "content": "x" * 600_000}]}, "messages", "context_length_exceeded"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_bad_value_is_refused_with_its_place(
    api: ApiClient, models: FakeModels, body: dict[str, Any], param: str, code: str
) -> None:
    assert refused(chat(api, **body)) == (400, param, code)
    assert models.requests == []


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({"prompt": [1, 2, 3]}, "prompt", "invalid_value"),
        ({"prompt": [[1, 2], [3]]}, "prompt", "invalid_value"),
        ({"prompt": []}, "prompt", "invalid_value"),
        ({"prompt": ""}, "prompt", "invalid_value"),
        ({"prompt": ["a", ""]}, "prompt[1]", "invalid_value"),
        ({"prompt": ["a"] * 17}, "prompt", "invalid_value"),
        ({"prompt": ["a"] * 9, "n": 2}, "n", "invalid_value"),
        ({"echo": True}, "echo", "unsupported_parameter"),
        ({"suffix": "x"}, "suffix", "unsupported_parameter"),
        ({"best_of": 2}, "best_of", "unsupported_parameter"),
        ({"logprobs": 6}, "logprobs", "invalid_value"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_bad_completion_is_refused_with_its_place(
    api: ApiClient, models: FakeModels, body: dict[str, Any], param: str, code: str
) -> None:
    assert refused(plain(api, **body)) == (400, param, code)
    assert models.requests == []


def test_a_model_that_does_not_exist_is_not_found(api: ApiClient, models: FakeModels) -> None:
    answers = [chat(api, model=name) for name in ("nope", f"{CHAT}:nope", "é" * 150)]
    assert [refused(answer) for answer in answers] == [(404, "model", "model_not_found")] * 3


@pytest.mark.parametrize(
    ("asked_for", "param"),
    [
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"logprobs": True}, "logprobs"),
        ({"beams": 2}, "beams"),
        ({"min_p": 0.1}, "min_p"),
    ],
)
def test_what_the_models_backend_cannot_do_is_refused_before_it_is_queued(
    api: ApiClient,
    models: FakeModels,
    monkeypatch: pytest.MonkeyPatch,
    asked_for: dict[str, Any],
    param: str,
) -> None:
    monkeypatch.setattr("apps.inference.services.models.capabilities_of", lambda spec: frozenset())
    assert refused(chat(api, **asked_for)) == (400, param, "unsupported_parameter")
    assert models.requests == []


def test_a_seed_is_accepted_where_the_backend_cannot_keep_it(
    api: ApiClient, models: FakeModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.inference.services.models.capabilities_of", lambda spec: frozenset())
    assert asked(chat(api, seed=1), models).seed == 1


# -- the list of models ----------------------------------------------------------------------------------------------
def test_every_entry_of_the_catalogue_is_listed_and_found(api: ApiClient, every_role: None) -> None:
    listed = api.get("/v1/models").json()
    names = [one["id"] for one in listed["data"]]
    assert listed["object"] == "list"
    assert names == sorted(catalogue().models)
    assert {CHAT, EMBEDDING, "moods", "other/vectors"} <= set(names)
    assert [api.get(f"/v1/models/{name}").json() for name in names] == listed["data"]
    assert {(one["object"], one["owned_by"]) for one in listed["data"]} == {("model", "nlpsuite")}
    assert refused(api.get("/v1/models/nope")) == (404, "model", "model_not_found")
