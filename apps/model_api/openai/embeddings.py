"""Embeddings in OpenAI's shape."""

from __future__ import annotations

import base64
import uuid
from typing import Any

from apps.core.errors import Invalid
from apps.inference.types import FloatArray, ModelInfo
from apps.model_api.openai.schemas import EmbeddingIn
from apps.model_api.openai.shapes import usage_of
from apps.model_api.vectors import embed_all, numbers, shortened


def embeddings(body: EmbeddingIn, *, tenant_id: uuid.UUID, model: ModelInfo) -> dict[str, Any]:
    """Return the answer to a request. Raises Invalid with the `param`, and what `embed_texts` does.

    A text longer than the model reads is refused, unless `truncate_prompt_tokens` is -1, which cuts it.
    """
    texts = [body.input] if isinstance(body.input, str) else body.input
    if not all(texts):
        raise Invalid("The input holds an empty text.", code="invalid_value", details={"param": "input"})
    result = embed_all(texts, tenant_id=tenant_id, model=model.name)
    if result.truncated and body.truncate_prompt_tokens is None:
        place = "input" if isinstance(body.input, str) else f"input[{result.truncated[0]}]"
        raise Invalid(
            f"This model's maximum context length is {model.max_tokens} tokens, and the text is longer. "
            "Send `truncate_prompt_tokens: -1` to have it cut.",
            code="prompt_too_long",
            details={"param": place},
        )
    data = [
        {"object": "embedding", "index": index, "embedding": embedding}
        for index, embedding in enumerate(_encoded(shortened(result.vectors, body.dimensions), body.encoding_format))
    ]
    return {"object": "list", "data": data, "model": model.name, "usage": _usage(result.tokens)}


def _usage(tokens: int) -> dict[str, int]:
    usage = usage_of(tokens, 0)
    del usage["completion_tokens"]
    return usage


def _encoded(vectors: FloatArray, encoding: str) -> list[Any]:
    if encoding == "float":
        return numbers(vectors)
    return [base64.b64encode(row.astype("<f4").tobytes()).decode() for row in vectors]
