"""Streams of completions: the order of their events, silence, errors in the middle, and clients that leave."""

from __future__ import annotations

import asyncio
import json
import uuid
from typing import Any

import pytest
import redis
from django.conf import settings
from django.http.response import HttpResponseBase

from apps.core.clock import now
from apps.core.errors import DeadlineExceeded, Unavailable
from apps.inference.services import model_get
from apps.inference.services.permits import permit_take
from apps.inference.types import GenerateRequest, Piece, TokenLogprob
from apps.model_api import http
from apps.model_api.http import EventStream, kept
from apps.model_api.openai import generations
from apps.model_api.openai.completions import complete_stream, complete_whole
from apps.model_api.openai.shapes import ChatShape, CompletionShape, Shape
from apps.model_api.types import Admission
from tests.fakes import FakeModels
from tests.model_api.conftest import CHAT
from tests.sockets import until

ASKED = GenerateRequest(model=CHAT)
LOGPROBS = (TokenLogprob("Hel", -0.5, (("Hel", -0.5), ("é", -1.5))),)


def chat_shape(**options: Any) -> Shape:
    return ChatShape(model_get(name=CHAT), **{"with_logprobs": False, **options})


@pytest.fixture
def admission() -> Admission:
    """An organisation of its own, with one call running."""
    made = Admission(uuid.uuid4(), "running")
    permit_take(key=f"infer:tenant:{made.tenant_id}", member=made.permit, bound=1, deadline_s=60)
    return made


def running(admission: Admission) -> int:
    return redis.Redis.from_url(settings.REDIS_URL).zcard(f"infer:tenant:{admission.tenant_id}")


def used(admission: Admission) -> int:
    day = now().strftime("%Y%m%d")
    return int(redis.Redis.from_url(settings.REDIS_URL).get(f"t:{admission.tenant_id}:quota:tokens:{day}") or 0)


async def read(response: HttpResponseBase) -> list[str]:
    """The events of a response, sent as Django sends it."""
    stream = aiter(response)  # type: ignore[arg-type]
    body = b"".join([part async for part in stream])
    await stream.aclose()
    events = body.decode().split("\n\n")
    assert events[-1] == ""
    return events[:-1]


def data(events: list[str]) -> list[Any]:
    """The JSON of the data events, without the end mark."""
    return [json.loads(one.removeprefix("data: ")) for one in events if one.startswith("data: {")]


# -- the order of events ---------------------------------------------------------------------------------------------
async def test_a_stream_is_role_text_finish_and_end(models: FakeModels, admission: Admission) -> None:
    events = await read(await complete_stream(admission, [ASKED], chat_shape()))
    chunks = data(events)
    assert events[-1] == "data: [DONE]"
    assert [(c["choices"][0]["delta"], c["choices"][0]["finish_reason"]) for c in chunks] == [
        ({"role": "assistant", "content": "", "refusal": None}, None),
        ({"content": "Hello "}, None),
        ({"content": "there"}, None),
        ({}, "stop"),
    ]
    assert {(c["object"], c["model"]) for c in chunks} == {("chat.completion.chunk", CHAT)}
    assert len({c["id"] for c in chunks}) == 1
    assert chunks[0]["id"].startswith("chatcmpl-")
    assert ["usage" in c for c in chunks] == [False] * 4


async def test_usage_is_one_more_chunk_with_no_choices(models: FakeModels, admission: Admission) -> None:
    chunks = data(await read(await complete_stream(admission, [ASKED], chat_shape(include_usage=True))))
    assert [c["usage"] for c in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"] == {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}


async def test_the_headers_keep_proxies_from_holding_back(models: FakeModels, admission: Admission) -> None:
    response = await complete_stream(admission, [ASKED], chat_shape())
    assert response.headers["Content-Type"].startswith("text/event-stream")
    assert (response.headers["Cache-Control"], response.headers["X-Accel-Buffering"]) == ("no-cache", "no")
    await read(response)


async def test_several_choices_have_their_index_and_their_reason(models: FakeModels, admission: Admission) -> None:
    models.finish_reasons = ("stop", "length")
    asked = GenerateRequest(model=CHAT, n=2)
    choices = [c["choices"][0] for c in data(await read(await complete_stream(admission, [asked], chat_shape())))]
    assert [c["index"] for c in choices if "role" in c["delta"]] == [0, 1]
    texts = ["".join(c["delta"].get("content", "") for c in choices if c["index"] == index) for index in (0, 1)]
    assert texts == ["Hello there"] * 2
    assert [(c["index"], c["finish_reason"]) for c in choices if c["finish_reason"]] == [(0, "stop"), (1, "length")]


async def test_prompts_are_streamed_side_by_side(models: FakeModels, admission: Admission) -> None:
    """The first prompt is silent until the second has ended."""
    models.steps = lambda request: [Piece("a", 1)] if request.prompt == "fast" else [0.2, Piece("b", 1)]
    asked = [GenerateRequest(model=CHAT, prompt=prompt) for prompt in ("slow", "fast")]
    shape = CompletionShape(model_get(name=CHAT), with_logprobs=False)
    chunks = data(await read(await complete_stream(admission, asked, shape)))
    assert [(c["choices"][0]["index"], c["choices"][0]["text"]) for c in chunks] == [
        (1, "a"),
        (0, "b"),
        (0, ""),
        (1, ""),
    ]
    assert {c["object"] for c in chunks} == {"text_completion"}


async def test_any_text_comes_through_unchanged(models: FakeModels, admission: Admission) -> None:
    texts = ['"\\\n\r\t', "né 好 👩‍🚒", "\u2028\x00\x7f", "data: x\n\n", ""]
    models.steps = lambda request: [Piece(text, 1) for text in texts]
    chunks = data(await read(await complete_stream(admission, [ASKED], chat_shape())))
    assert "".join(c["choices"][0]["delta"].get("content", "") for c in chunks) == "".join(texts)


async def test_a_stream_says_what_the_whole_answer_says(models: FakeModels, admission: Admission) -> None:
    models.steps = lambda request: [Piece("Hel", 1, 0, LOGPROBS), Piece("lo", 1, 0, LOGPROBS)]
    whole = json.loads((await complete_whole(admission, [ASKED], chat_shape(with_logprobs=True))).content)  # type: ignore[attr-defined]
    shape = chat_shape(with_logprobs=True, include_usage=True)
    chunks = data(await read(await complete_stream(admission, [ASKED], shape)))
    choices = [c["choices"][0] for c in chunks if c["choices"]]
    tokens = [token for c in choices if c["logprobs"] for token in c["logprobs"]["content"]]
    assert whole["choices"][0] == {
        "index": 0,
        "message": {
            "role": "assistant",
            "content": "".join(c["delta"].get("content", "") for c in choices),
            "refusal": None,
        },
        "logprobs": {"content": tokens, "refusal": None},
        "finish_reason": choices[-1]["finish_reason"],
    }
    assert (whole["usage"], whole["model"]) == (chunks[-1]["usage"], chunks[-1]["model"])
    assert tokens[0]["top_logprobs"][1] == {"token": "é", "logprob": -1.5, "bytes": [0xC3, 0xA9]}


async def test_completions_have_the_older_form_of_logprobs(models: FakeModels, admission: Admission) -> None:
    models.steps = lambda request: [Piece("Hel", 1, 0, LOGPROBS), Piece("lo", 1, 0, (TokenLogprob("lo", -1.0),))]
    shape = CompletionShape(model_get(name=CHAT), with_logprobs=True)
    chunks = data(await read(await complete_stream(admission, [GenerateRequest(model=CHAT, prompt="x")], shape)))
    assert [c["choices"][0]["logprobs"] for c in chunks] == [
        {
            "tokens": ["Hel"],
            "token_logprobs": [-0.5],
            "top_logprobs": [{"Hel": -0.5, "é": -1.5}],
            "text_offset": [0],
        },
        {"tokens": ["lo"], "token_logprobs": [-1.0], "top_logprobs": [{}], "text_offset": [3]},
        None,
    ]


# -- silence and errors ----------------------------------------------------------------------------------------------
async def test_silence_is_filled_with_comments(
    models: FakeModels, admission: Admission, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generations, "PING_S", 0.05)
    models.steps = lambda request: [0.12, Piece("a", 1), 0.12, Piece("b", 1)]
    events = await read(await complete_stream(admission, [ASKED], chat_shape()))
    kinds = ["ping" if one == ": ping" else "data" for one in events]
    assert kinds.count("ping") >= 2
    assert kinds.index("ping") < 2
    assert [c["choices"][0]["delta"].get("content") for c in data(events)] == ["", "a", "b", None]


async def test_an_error_in_the_middle_is_an_event_and_the_last(models: FakeModels, admission: Admission) -> None:
    models.steps = lambda request: [Piece("a", 1), DeadlineExceeded("Too late.")]
    events = await read(await complete_stream(admission, [ASKED], chat_shape(include_usage=True)))
    assert json.loads(events[-1].removeprefix("data: ")) == {
        "error": {"message": "Too late.", "type": "server_error", "param": None, "code": "deadline_exceeded"}
    }
    assert (running(admission), used(admission)) == (0, 1)


async def test_an_error_of_ours_in_the_middle_tells_nothing(models: FakeModels, admission: Admission) -> None:
    models.steps = lambda request: [Piece("a", 1), RuntimeError("secret detail")]
    events = await read(await complete_stream(admission, [ASKED], chat_shape()))
    assert json.loads(events[-1].removeprefix("data: "))["error"]["code"] == "internal"
    assert "secret" not in "".join(events)


async def test_a_generation_that_the_engine_gave_up_is_an_error_and_no_answer(
    models: FakeModels, admission: Admission
) -> None:
    models.finish_reasons = ("cancelled",)
    events = await read(await complete_stream(admission, [ASKED], chat_shape()))
    assert json.loads(events[-1].removeprefix("data: "))["error"]["code"] == "unavailable"
    with pytest.raises(Unavailable):
        await complete_whole(admission, [ASKED], chat_shape())


# -- clients that leave ----------------------------------------------------------------------------------------------
async def test_the_end_of_a_stream_settles_the_call(models: FakeModels, admission: Admission) -> None:
    await read(await complete_stream(admission, [ASKED], chat_shape()))
    assert (running(admission), used(admission), models.generations[0].closed) == (0, 9, 1)


async def _begun(response: HttpResponseBase) -> EventStream:
    """The stream of a response whose first bytes were read."""
    stream: Any = aiter(response)  # type: ignore[arg-type]
    await anext(stream)
    return stream


async def test_a_client_that_leaves_a_silent_stream_stops_the_engine(models: FakeModels, admission: Admission) -> None:
    models.steps = lambda request: [Piece("a", 3), 60.0]
    stream = await _begun(await complete_stream(admission, [ASKED], chat_shape()))
    waiting = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0.05)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await stream.aclose()
    assert (running(admission), used(admission), models.generations[0].closed) == (0, 3, 1)


async def test_a_client_that_leaves_between_chunks_stops_the_engine(models: FakeModels, admission: Admission) -> None:
    stream = await _begun(await complete_stream(admission, [ASKED], chat_shape()))
    await stream.aclose()
    assert (running(admission), models.generations[0].closed) == (0, 1)


@pytest.mark.parametrize("complete", [complete_stream, complete_whole])
async def test_a_client_that_leaves_before_the_first_piece_stops_the_engine(
    models: FakeModels, admission: Admission, complete: Any
) -> None:
    models.steps = lambda request: [60.0]
    waiting = asyncio.ensure_future(complete(admission, [ASKED], chat_shape()))
    await asyncio.sleep(0.05)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert (running(admission), models.generations[0].closed) == (0, 1)


async def test_a_response_that_is_never_sent_is_settled_when_it_is_closed(
    models: FakeModels, admission: Admission
) -> None:
    response = await complete_stream(admission, [ASKED], chat_shape())
    await asyncio.to_thread(response.close)
    await until(lambda: running(admission) == 0)
    assert models.generations[0].closed == 1


async def test_a_response_that_is_forgotten_settles_itself(
    models: FakeModels, admission: Admission, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "UNREAD_S", 0.05)
    await complete_stream(admission, [ASKED], chat_shape())
    await until(lambda: running(admission) == 0)
    assert models.generations[0].closed == 1


async def test_what_cleans_up_is_not_interrupted() -> None:
    """A client that closes after the last event cancels the request while it is being settled."""
    steps: list[str] = []

    async def events() -> Any:
        yield b"x"

    async def release() -> None:
        steps.append("begun")
        await asyncio.sleep(0.1)
        steps.append("done")

    stream = EventStream(events(), release)
    closing = asyncio.ensure_future(stream.aclose())
    await asyncio.sleep(0.03)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    await stream.aclose()
    assert steps == ["begun", "done"]


async def test_what_was_made_for_a_client_that_left_is_undone() -> None:
    undone: list[str] = []

    async def make() -> str:
        await asyncio.sleep(0.1)
        return "it"

    async def undo(made: str) -> None:
        undone.append(made)

    making = asyncio.ensure_future(kept(make(), undo))
    await asyncio.sleep(0.03)
    making.cancel()
    with pytest.raises(asyncio.CancelledError):
        await making
    assert undone == ["it"]
