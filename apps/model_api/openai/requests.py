"""From a body to what the engine is asked for."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

from apps.core.errors import Invalid, NotFound
from apps.inference.services import model_get
from apps.inference.types import ChatMessage, GenerateRequest, ModelInfo
from apps.model_api.json_schemas import SchemaRefused, schema_plain
from apps.model_api.openai.schemas import (
    CHAT_TOKENS,
    MAX_PROMPTS,
    ChatIn,
    CompletionIn,
    Message,
    Part,
    ResponseFormat,
    Sampling,
)

# A tool's result and a function's are what the assistant is told: the templates of small models know no more roles.
_ROLES = {"developer": "system", "tool": "user", "function": "user"}
# No tokenizer has tokens of this length on average: such a prompt is refused before it costs anything.
_CHARS_PER_TOKEN = 64
_GREEDY = 1e-5
# With use_beam_search and no number of beams; as many as transformers' documentation uses in its examples.
_BEAMS = 4


def model_of(name: str, adapter: str) -> tuple[ModelInfo, str]:
    """Return a model and the adapter asked for, in `adapter` or behind a colon: "model:adapter".

    Raises NotFound "model_not_found".
    """
    try:
        return model_get(name=name), adapter
    except NotFound:
        base, _, behind = name.rpartition(":")
        with suppress(NotFound):
            found = model_get(name=base)
            if behind in found.adapters and adapter in ("", behind):
                return found, behind
    raise NotFound(f"The model `{name[:200]}` does not exist or you do not have access to it.", code="model_not_found")


def chat_request(body: ChatIn) -> tuple[ModelInfo, GenerateRequest]:
    """Return model and request of a chat completion. Raises Invalid with the `param`, NotFound "model_not_found"."""
    model, common = _common(body)
    messages = tuple(_turn(message, number) for number, message in enumerate(body.messages))
    if body.messages[-1].role == "assistant":
        raise _invalid(
            f"messages[{len(messages) - 1}].role", "The last message must not be the assistant's: nothing continues it."
        )
    _check_length(sum(len(turn.content) for turn in messages), model, "messages")
    if body.top_logprobs is not None and not body.logprobs:
        raise _invalid("top_logprobs", "'top_logprobs' needs 'logprobs' to be true.")
    request = GenerateRequest(
        messages=messages,
        max_tokens=body.max_completion_tokens or body.max_tokens or CHAT_TOKENS,
        logprobs=(body.top_logprobs or 0) if body.logprobs else None,
        **common,
    )
    _check_capabilities(request, model)
    return model, request


def completion_requests(body: CompletionIn) -> tuple[ModelInfo, list[GenerateRequest]]:
    """Return model and requests, one per prompt, of a completion. Raises as `chat_request`."""
    model, common = _common(body)
    prompts = [body.prompt] if isinstance(body.prompt, str) else body.prompt
    if len(prompts) * body.n > MAX_PROMPTS:
        raise _invalid("n", f"At most {MAX_PROMPTS} choices can be generated at once, over all prompts.")
    for number, prompt in enumerate(prompts):
        param = "prompt" if isinstance(body.prompt, str) else f"prompt[{number}]"
        if not prompt:
            raise _invalid(param, "The prompt is empty.")
        _check_length(len(prompt), model, param)
    requests = [
        GenerateRequest(prompt=prompt, max_tokens=body.max_tokens, logprobs=body.logprobs, **common)
        for prompt in prompts
    ]
    _check_capabilities(requests[0], model)
    return model, requests


def _common(body: Sampling) -> tuple[ModelInfo, dict[str, Any]]:
    model, adapter = model_of(body.model, body.adapter)
    if body.best_of not in (None, body.n):
        raise _invalid("best_of", "'best_of' must equal 'n'.", code="unsupported_parameter")
    if body.stream_options is not None and not body.stream:
        raise _invalid("stream_options", "'stream_options' needs 'stream' to be true.")
    values = {
        # top_p 0 keeps the likeliest token alone, and so does a temperature that engines round to 0 and then refuse.
        "temperature": body.temperature if body.top_p > 0 and body.temperature >= _GREEDY else 0.0,
        "top_p": body.top_p or 1.0,
        "top_k": max(0, body.top_k),
        "min_p": body.min_p,
        "repetition_penalty": body.repetition_penalty,
        "presence_penalty": body.presence_penalty,
        "frequency_penalty": body.frequency_penalty,
        "n": body.n,
        "beams": _beams(body),
        "stop": (body.stop,) if isinstance(body.stop, str) else tuple(body.stop),
        "seed": body.seed,
        "json_schema": _json_schema(body.response_format),
        "model": model.name,
        "adapter": adapter,
    }
    return model, values


def _check_capabilities(request: GenerateRequest, model: ModelInfo) -> None:
    """Refuse at once what the model's backend cannot do. `seed` is the exception: OpenAI's is best effort, too."""
    asked = {
        "prompt": ("prompt", request.prompt is not None),
        "json_schema": ("response_format", request.json_schema is not None),
        "logprobs": ("logprobs", request.logprobs is not None),
        "top_logprobs": ("logprobs" if request.prompt is not None else "top_logprobs", bool(request.logprobs)),
        "beams": ("beams", request.beams > 1),
        "min_p": ("min_p", request.min_p > 0),
        "adapters": ("adapter", bool(request.adapter)),
    }
    if request.beams > 1 and request.json_schema is not None:
        # Beam search goes on without the constraint, and says nothing.
        raise _invalid("response_format", "Beam search does not keep a response format.", code="unsupported_parameter")
    for capability, (param, wanted) in asked.items():
        if wanted and capability not in model.capabilities:
            raise _invalid(param, f"The model {model.name} does not support {param!r}.", code="unsupported_parameter")
    if request.adapter and request.adapter not in model.adapters:
        raise _invalid("adapter", f"The model {model.name} has no adapter of this name.")


def _beams(body: Sampling) -> int:
    if body.use_beam_search is None:
        beams = body.beams or 1
    else:
        beams = (body.beams or max(_BEAMS, body.n)) if body.use_beam_search else 1
        if (beams > 1) != body.use_beam_search or (body.beams or beams) != beams:
            raise _invalid("beams", "'beams' and 'use_beam_search' contradict each other.")
    if 1 < beams < body.n:
        raise _invalid("n", "There are no more choices than beams.")
    return beams


def _json_schema(wanted: ResponseFormat | None) -> dict[str, Any] | None:
    if wanted is None or wanted.type == "text":
        return None
    schema = wanted.json_schema.content if wanted.json_schema is not None else wanted.value
    if schema is None:
        if wanted.type == "json_object":
            return {}
        raise _invalid("response_format.json_schema", "The schema is missing.")
    try:
        return schema_plain(schema)
    except SchemaRefused as error:
        raise _invalid("response_format", f"Invalid schema for response_format: {error}") from None


def _turn(message: Message, number: int) -> ChatMessage:
    place = f"messages[{number}]"
    text = _text(message.content, f"{place}.content")
    if message.tool_calls:
        text = "\n".join(
            [*([text] if text else []), *(json.dumps(call.get("function")) for call in message.tool_calls)]
        )
    elif message.content is None and message.role != "assistant":
        raise _invalid(f"{place}.content", "The content is missing.")
    return ChatMessage(_ROLES.get(message.role, message.role), text)


def _text(content: str | list[Part] | None, place: str) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    texts = []
    for number, part in enumerate(content):
        text = part.refusal if part.type == "refusal" else part.text
        if part.type not in {"text", "input_text", "refusal"} or text is None:
            raise _invalid(
                f"{place}[{number}].type", "The model reads text alone: only parts of the type 'text' are supported."
            )
        texts.append(text)
    return "\n".join(texts)


def _check_length(chars: int, model: ModelInfo, param: str) -> None:
    if chars > _CHARS_PER_TOKEN * model.max_tokens:
        raise _invalid(
            param, f"This model's maximum context length is {model.max_tokens} tokens.", code="prompt_too_long"
        )


def _invalid(param: str, message: str, *, code: str = "invalid_value") -> Invalid:
    return Invalid(message, code=code, details={"param": param})
