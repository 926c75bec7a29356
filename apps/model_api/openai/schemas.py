"""Bodies of OpenAI's routes, with the extras of vLLM and llama.cpp that we have. Every value is bounded."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from django.conf import settings
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

MAX_MESSAGES = 2048
MAX_CHOICES = 8
MAX_PROMPTS = 16
MAX_BEAMS = 8
MAX_INPUTS = 2048
MAX_STOP_CHARS = 200
# OpenAI has no default for chats; an answer that nobody asked to be long ends here.
CHAT_TOKENS = 512
COMPLETION_TOKENS = 16


def _within_cap(value: int) -> int:
    if value > settings.API_MAX_TOKENS:
        raise ValueError(f"at most {settings.API_MAX_TOKENS} tokens can be generated")
    return value


MaxTokens = Annotated[int, Field(ge=1), AfterValidator(_within_cap)]
Name = Annotated[str, Field(min_length=1, max_length=200)]
StopText = Annotated[str, Field(min_length=1, max_length=MAX_STOP_CHARS)]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Part(BaseModel):
    """A part of a message's content. Parts that are no text are refused by name."""

    model_config = ConfigDict(extra="ignore", strict=True)

    type: str = Field(max_length=40)
    text: str | None = None
    refusal: str | None = None


class Message(BaseModel):
    """A turn. `name`, `tool_call_id` and other fields that only label it are ignored."""

    model_config = ConfigDict(extra="ignore", strict=True)

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | Annotated[list[Part], Field(max_length=256)] | None = None
    tool_calls: list[dict[str, Any]] | None = None


class JsonSchema(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True, populate_by_name=True)

    content: dict[str, Any] = Field(alias="schema")


class ResponseFormat(Strict):
    """`value` is how Text Generation Inference, and its client, name the schema."""

    type: Literal["text", "json_object", "json_schema", "json"]
    json_schema: JsonSchema | None = None
    value: dict[str, Any] | None = None


class StreamOptions(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)

    include_usage: bool = False


class Sampling(Strict):
    """What chat and plain completions have in common."""

    model: Name
    adapter: Annotated[str, Field(max_length=200)] = ""
    temperature: Annotated[float, Field(ge=0, le=2)] = 1.0
    top_p: Annotated[float, Field(ge=0, le=1)] = 1.0
    top_k: Annotated[int, Field(ge=-1, le=1_000_000)] = 0
    min_p: Annotated[float, Field(ge=0, lt=1)] = 0.0
    repetition_penalty: Annotated[float, Field(ge=0.01, le=10)] = 1.0
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] = 0.0
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] = 0.0
    n: Annotated[int, Field(ge=1, le=MAX_CHOICES)] = 1
    best_of: int | None = None
    beams: Annotated[int, Field(ge=1, le=MAX_BEAMS)] | None = None
    use_beam_search: bool | None = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**64)] | None = None
    stop: StopText | Annotated[list[StopText], Field(max_length=4)] = []
    response_format: ResponseFormat | None = None
    stream: bool = False
    stream_options: StreamOptions | None = None


class ChatIn(Sampling):
    messages: Annotated[list[Message], Field(min_length=1, max_length=MAX_MESSAGES)]
    max_tokens: MaxTokens | None = None
    max_completion_tokens: MaxTokens | None = None
    logprobs: bool = False
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None


class CompletionIn(Sampling):
    prompt: str | Annotated[list[str], Field(min_length=1, max_length=MAX_PROMPTS)]
    max_tokens: MaxTokens = COMPLETION_TOKENS
    logprobs: Annotated[int, Field(ge=0, le=5)] | None = None


class EmbeddingIn(Strict):
    model: Name
    input: str | Annotated[list[str], Field(min_length=1, max_length=MAX_INPUTS)]
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: Annotated[int, Field(ge=1, le=100_000)] | None = None
    truncate_prompt_tokens: Annotated[int, Field(ge=-1, le=-1)] | None = None
