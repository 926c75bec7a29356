"""The official openai client against the running product and the real models."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import openai
import pytest

from tests.clients.conftest import Engine
from tests.stack import Stack

pytestmark = pytest.mark.stack
HELLO: list[Any] = [{"role": "user", "content": "Say hello."}]
STORY: list[Any] = [{"role": "user", "content": "Write a very long story about a dragon and a lighthouse."}]
# The model's context is 8,192 tokens.
FAR_TOO_LONG: list[Any] = [{"role": "user", "content": "word " * 9000}]


def until(true: Callable[[], bool], seconds: float = 15) -> bool:
    """Whether it became true in time."""
    ends = time.monotonic() + seconds
    while not true():
        if time.monotonic() > ends:
            return False
        time.sleep(0.02)
    return True


def streamed(oc: openai.OpenAI, **body: Any) -> tuple[list[Any], str]:
    """All chunks of a stream, and its text."""
    chunks = list(oc.chat.completions.create(stream=True, **body))
    return chunks, "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)


# -- chat ------------------------------------------------------------------------------------------------------------
def test_a_stream_says_what_the_whole_answer_says(oc: openai.OpenAI, chat_model: str) -> None:
    asked: dict[str, Any] = {"model": chat_model, "messages": HELLO, "max_tokens": 20, "temperature": 0}
    whole = oc.chat.completions.create(**asked)
    chunks, text = streamed(oc, **asked, stream_options={"include_usage": True})
    assert whole.choices[0].message.role == "assistant"
    assert text == whole.choices[0].message.content != ""
    assert chunks[-1].usage == whole.usage
    assert whole.usage.completion_tokens >= 1
    assert whole.usage.prompt_tokens + whole.usage.completion_tokens == whole.usage.total_tokens
    assert {c.id for c in chunks} == {chunks[0].id}
    assert [c.usage for c in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert chunks[-2].choices[0].finish_reason == whole.choices[0].finish_reason


def test_a_stream_arrives_piece_by_piece(oc: openai.OpenAI, chat_model: str) -> None:
    chunks, _ = streamed(oc, model=chat_model, messages=STORY, max_tokens=60)
    assert len([c for c in chunks if c.choices and c.choices[0].delta.content]) > 5


def test_an_answer_ends_at_its_limit_and_says_so(oc: openai.OpenAI, chat_model: str) -> None:
    answer = oc.chat.completions.create(model=chat_model, messages=STORY, max_completion_tokens=7)
    assert (answer.choices[0].finish_reason, answer.usage.completion_tokens) == ("length", 7)


def test_several_choices_differ_and_are_numbered(oc: openai.OpenAI, chat_model: str) -> None:
    answer = oc.chat.completions.create(model=chat_model, messages=STORY, max_tokens=24, n=3, temperature=1.2)
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert len({choice.message.content for choice in answer.choices}) > 1


def test_several_choices_are_streamed_apart(oc: openai.OpenAI, chat_model: str) -> None:
    chunks, _ = streamed(oc, model=chat_model, messages=STORY, max_tokens=12, n=2, temperature=1.0)
    choices = [c.choices[0] for c in chunks if c.choices]
    assert sorted(c.index for c in choices if c.finish_reason) == [0, 1]
    assert {c.index for c in choices if c.delta.content} == {0, 1}


def test_a_stop_text_ends_the_answer_unseen(oc: openai.OpenAI, chat_model: str) -> None:
    asked: dict[str, Any] = {"model": chat_model, "messages": HELLO, "max_tokens": 30, "temperature": 0}
    whole = oc.chat.completions.create(**asked).choices[0].message.content or ""
    word = whole.split()[3]
    stopped = oc.chat.completions.create(**asked, stop=[word]).choices[0]
    assert stopped.message.content == whole[: whole.index(word)]
    assert stopped.finish_reason == "stop"
    assert streamed(oc, **asked, stop=word)[1] == stopped.message.content


def test_a_seed_is_accepted(oc: openai.OpenAI, chat_model: str) -> None:
    answer = oc.chat.completions.create(model=chat_model, messages=HELLO, max_tokens=8, temperature=0.9, seed=11)
    assert answer.choices[0].message.content
    assert answer.system_fingerprint.startswith("fp_")


def test_logprobs_are_those_of_the_answers_tokens(oc: openai.OpenAI, chat_model: str) -> None:
    asked: dict[str, Any] = {"model": chat_model, "messages": HELLO, "max_tokens": 8, "temperature": 0}
    choice = oc.chat.completions.create(**asked, logprobs=True).choices[0]
    tokens = choice.logprobs.content
    assert "".join(token.token for token in tokens).strip() == choice.message.content.strip()
    assert [token.logprob <= 0 for token in tokens] == [True] * len(tokens)
    assert b"".join(bytes(token.bytes) for token in tokens).decode().strip() == choice.message.content.strip()


def test_an_answer_fits_its_json_schema(oc: openai.OpenAI, chat_model: str) -> None:
    schema = {
        "type": "object",
        "properties": {"city": {"enum": ["Paris", "Rome"]}, "visits": {"type": "integer"}},
        "required": ["city", "visits"],
        "additionalProperties": False,
    }
    answer = oc.chat.completions.create(
        model=chat_model,
        messages=[{"role": "user", "content": "I was in Paris twice. Reply in JSON."}],
        max_tokens=60,
        temperature=0,
        response_format={"type": "json_schema", "json_schema": {"name": "visit", "schema": schema}},
    )
    found = json.loads(answer.choices[0].message.content)
    assert set(found) == {"city", "visits"}
    assert found["city"] in {"Paris", "Rome"}
    assert isinstance(found["visits"], int)


# -- completions and models ------------------------------------------------------------------------------------------
def test_a_text_is_continued_whole_and_as_a_stream(oc: openai.OpenAI, chat_model: str) -> None:
    asked: dict[str, Any] = {"model": chat_model, "prompt": "Once upon a time", "max_tokens": 12, "temperature": 0}
    whole = oc.completions.create(**asked)
    chunks = list(oc.completions.create(**asked, stream=True))
    assert whole.choices[0].text == "".join(c.choices[0].text for c in chunks) != ""
    assert whole.usage.completion_tokens == 12
    assert chunks[-1].choices[0].finish_reason == whole.choices[0].finish_reason == "length"


def test_several_prompts_are_continued_at_once(oc: openai.OpenAI, chat_model: str) -> None:
    answer = oc.completions.create(model=chat_model, prompt=["One, two,", "Red, green,"], max_tokens=6, temperature=0)
    assert [choice.index for choice in answer.choices] == [0, 1]
    assert [bool(choice.text) for choice in answer.choices] == [True, True]


def test_the_models_of_the_demo_are_listed(oc: openai.OpenAI, chat_model: str, embedding_model: str) -> None:
    assert {chat_model, embedding_model} <= {model.id for model in oc.models.list()}
    assert oc.models.retrieve(chat_model).id == chat_model


# -- embeddings ------------------------------------------------------------------------------------------------------
TEXTS = ["refund my order", "I want my money back", "the weather in Paris"]


def test_embeddings_have_length_one_and_make_sense(oc: openai.OpenAI, embedding_model: str) -> None:
    answer = oc.embeddings.create(model=embedding_model, input=TEXTS)
    vectors = np.array([one.embedding for one in answer.data])
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2]
    assert answer.usage.prompt_tokens == answer.usage.total_tokens > 6


def test_both_encodings_hold_the_same_numbers(oc: openai.OpenAI, embedding_model: str) -> None:
    plain = oc.embeddings.create(model=embedding_model, input=TEXTS[0], encoding_format="float").data[0].embedding
    packed: Any = (
        oc.embeddings.create(model=embedding_model, input=TEXTS[0], encoding_format="base64").data[0].embedding
    )
    unpacked = np.frombuffer(base64.b64decode(packed), dtype="<f4") if isinstance(packed, str) else np.array(packed)
    # Two calls are two batches, which bfloat16 may round differently.
    assert np.array(plain) @ unpacked > 0.9999


def test_fewer_dimensions_are_of_length_one(oc: openai.OpenAI, embedding_model: str) -> None:
    vector = np.array(oc.embeddings.create(model=embedding_model, input=TEXTS[0], dimensions=96).data[0].embedding)
    assert vector.shape == (96,)
    assert abs(np.linalg.norm(vector) - 1) < 1e-5


# -- refusals --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("body", "kind", "code", "param"),
    [
        ({"model": "nope"}, openai.NotFoundError, "model_not_found", "model"),
        ({"messages": []}, openai.BadRequestError, "invalid_value", "messages"),
        ({"messages": FAR_TOO_LONG}, openai.BadRequestError, "context_length_exceeded", "messages"),
        ({"messages": FAR_TOO_LONG, "stream": True}, openai.BadRequestError, "context_length_exceeded", "messages"),
        ({"logit_bias": {"5": 1}}, openai.BadRequestError, "unsupported_parameter", "logit_bias"),
        ({"temperature": 3}, openai.BadRequestError, "invalid_value", "temperature"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_refusal_is_the_clients_own_error(
    oc: openai.OpenAI, chat_model: str, body: dict[str, Any], kind: type[openai.APIStatusError], code: str, param: str
) -> None:
    with pytest.raises(kind) as caught:
        oc.chat.completions.create(**{"model": chat_model, "messages": HELLO, **body})
    assert (caught.value.code, caught.value.param, caught.value.type) == (code, param, "invalid_request_error")


def test_a_wrong_key_is_the_clients_own_error(stack: Stack) -> None:
    with pytest.raises(openai.AuthenticationError) as caught:
        openai.OpenAI(base_url=f"{stack.base}/v1", api_key="wrong", max_retries=0).models.list()
    assert caught.value.code == "invalid_api_key"


def test_a_key_without_the_scope_is_the_clients_own_error(stack: Stack) -> None:
    with stack.client() as client:
        made = client.post("/api/v1/accounts/api-keys", json={"name": "narrow", "scopes": ["knowledge:read"]}).json()
    with pytest.raises(openai.PermissionDeniedError) as caught:
        openai.OpenAI(base_url=f"{stack.base}/v1", api_key=made["secret"], max_retries=0).models.list()
    assert caught.value.code == "insufficient_permissions"


def test_a_body_beyond_every_bound_is_refused_in_openais_shape(stack: Stack) -> None:
    with stack.client() as client:
        answer = client.post("/v1/chat/completions", content=b"x" * 8_000_000)
    assert answer.status_code == 413
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


# -- clients that leave ----------------------------------------------------------------------------------------------
def test_a_stream_that_is_closed_stops_costing(
    oc: openai.OpenAI, stack: Stack, chat_model: str, engine: Engine
) -> None:
    assert until(lambda: engine.running(chat_model) == 0)
    before = engine.counters(chat_model)
    stream = oc.chat.completions.create(model=chat_model, messages=STORY, max_tokens=4000, stream=True)
    seen = [next(iter(stream)) for _ in range(4)]
    assert engine.calls() == 1
    stream.close()
    assert seen[0].choices[0].delta.role == "assistant"
    assert until(lambda: engine.calls() == 0, 2)
    assert until(lambda: engine.counters(chat_model)["cancelled"] == before["cancelled"] + 1)
    assert engine.running(chat_model) == 0
    assert engine.counters(chat_model)["generated_tokens"] - before["generated_tokens"] < 1000


def test_a_client_that_does_not_wait_for_its_answer_stops_costing(
    stack: Stack, chat_model: str, engine: Engine
) -> None:
    assert until(lambda: engine.running(chat_model) == 0)
    before = engine.counters(chat_model)["cancelled"]
    with stack.client(timeout=1.5) as client, pytest.raises(httpx.TimeoutException):
        client.post("/v1/chat/completions", json={"model": chat_model, "messages": STORY, "max_tokens": 4000, "n": 4})
    assert until(lambda: engine.calls() == 0, 3)
    assert until(lambda: engine.counters(chat_model)["cancelled"] > before)
    assert until(lambda: engine.running(chat_model) == 0)


def test_many_streams_at_once_all_end_and_leave_nothing_behind(
    oc: openai.OpenAI, chat_model: str, engine: Engine
) -> None:
    ended: list[Any] = []

    def one() -> None:
        ended.append(streamed(oc, model=chat_model, messages=HELLO, max_tokens=16)[0][-1].choices[0].finish_reason)

    threads = [threading.Thread(target=one) for _ in range(32)]
    [thread.start() for thread in threads]
    [thread.join(120) for thread in threads]
    assert len(ended) == 32
    assert set(ended) <= {"stop", "length"}
    assert until(lambda: engine.calls() == 0, 3)
