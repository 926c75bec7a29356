"""OpenAI's routes: POST /v1/chat/completions, /v1/completions, /v1/embeddings; GET /v1/models and /v1/models/{id}."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from apps.core.errors import Invalid, NotFound
from apps.inference.services import model_list
from apps.inference.types import GenerateRequest, ModelInfo
from apps.model_api.http import bearer, endpoint, json_body, json_response, kept, validated
from apps.model_api.openai.completions import complete_stream, complete_whole
from apps.model_api.openai.embeddings import embeddings
from apps.model_api.openai.errors import error_body
from apps.model_api.openai.parameters import known_parameters
from apps.model_api.openai.requests import chat_request, completion_requests, model_of
from apps.model_api.openai.schemas import ChatIn, CompletionIn, EmbeddingIn, Sampling
from apps.model_api.openai.shapes import ChatShape, CompletionShape, Shape
from apps.model_api.services import call_admit, call_settle
from apps.model_api.types import Admission

Prepared = tuple[Sampling, list[GenerateRequest], Shape]


@endpoint(error_body, "POST")
async def chat_completions(request: HttpRequest) -> HttpResponseBase:
    """Answer a chat, at once or as a stream."""
    return await _complete(request, _chat)


@endpoint(error_body, "POST")
async def completions(request: HttpRequest) -> HttpResponseBase:
    """Continue one or more texts, at once or as a stream."""
    return await _complete(request, _continuation)


@endpoint(error_body, "POST")
def embeddings_create(request: HttpRequest) -> HttpResponse:
    """Embed one or more texts."""
    admission, tokens = call_admit(bearer(request)), 0
    try:
        values = known_parameters(json_body(request))
        _refuse_tokens(values, "input")
        body = validated(EmbeddingIn, values)
        model, _ = model_of(body.model, "")
        answer = embeddings(body, tenant_id=admission.tenant_id, model=model)
        tokens = answer["usage"]["total_tokens"]
        return json_response(answer)
    finally:
        call_settle(admission, tokens=tokens)


@endpoint(error_body, "GET")
def models(request: HttpRequest) -> HttpResponse:
    """List the catalogue."""
    call_admit(bearer(request), permit=False)
    return json_response({"object": "list", "data": [_model(info) for info in model_list()]})


@endpoint(error_body, "GET")
def model(request: HttpRequest, name: str) -> HttpResponse:
    """Show one entry of the catalogue."""
    call_admit(bearer(request), permit=False)
    return json_response(_model(model_of(name, "")[0]))


@endpoint(error_body, "GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
def unknown(request: HttpRequest, path: str = "") -> HttpResponse:
    """Refuse in the shape that clients of these routes can read."""
    call_admit(bearer(request), permit=False)
    raise NotFound(f"Invalid URL ({request.method} {request.path})", code="unknown_url")


async def _complete(request: HttpRequest, prepare: Callable[[dict[str, Any]], Prepared]) -> HttpResponseBase:
    admitting = sync_to_async(_admitted)(request, bearer(request), prepare)
    admission, (body, requests, shape) = await kept(admitting, _dismiss)
    complete = complete_stream if body.stream else complete_whole
    try:
        return await complete(admission, requests, shape)
    except Invalid as error:
        if error.code == "prompt_too_long":
            error.details = {"param": shape.prompt_param}
        raise


async def _dismiss(admitted: tuple[Admission, Prepared]) -> None:
    await sync_to_async(call_settle)(admitted[0], tokens=0)


def _admitted(
    request: HttpRequest, secret: str, prepare: Callable[[dict[str, Any]], Prepared]
) -> tuple[Admission, Prepared]:
    """Admit the call and read its body; an admission whose body is refused is settled at once."""
    admission = call_admit(secret)
    try:
        return admission, prepare(known_parameters(json_body(request)))
    except BaseException:
        call_settle(admission, tokens=0)
        raise


def _chat(values: dict[str, Any]) -> Prepared:
    body = validated(ChatIn, values)
    info, request = chat_request(body)
    shape = ChatShape(info, with_logprobs=body.logprobs, include_usage=_wants_usage(body))
    return body, [request], shape


def _continuation(values: dict[str, Any]) -> Prepared:
    _refuse_tokens(values, "prompt")
    body = validated(CompletionIn, values)
    info, requests = completion_requests(body)
    shape = CompletionShape(info, with_logprobs=body.logprobs is not None, include_usage=_wants_usage(body))
    return body, requests, shape


def _wants_usage(body: Sampling) -> bool:
    return body.stream_options is not None and body.stream_options.include_usage


def _refuse_tokens(values: dict[str, Any], param: str) -> None:
    """Say what is wrong with lists of token numbers, which OpenAI's own route takes."""
    given = values.get(param)
    if isinstance(given, list) and any(isinstance(one, int | list) for one in given):
        raise Invalid("Token numbers are not supported: send the text.", code="invalid_value", details={"param": param})


def _model(info: ModelInfo) -> dict[str, Any]:
    return {
        "id": info.name,
        "object": "model",
        "created": 0,
        "owned_by": "nlpsuite",
        "role": info.role,
        "backend": info.backend,
        "default": info.is_default,
        "max_model_len": info.max_tokens,
        "capabilities": list(info.capabilities),
        "adapters": list(info.adapters),
        "labels": list(info.labels),
        "dimensions": info.dim or None,
        "licence": info.licence,
    }
