"""What TEI's routes do: vectors, labels, relevance, likeness, spans. Each returns its answer and the tokens it read."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from django.conf import settings
from numpy.typing import NDArray

from apps.core.errors import Invalid
from apps.inference.services import classify_texts, model_of, rerank_texts, tag_texts
from apps.inference.types import ModelInfo, Span
from apps.model_api.tei.errors import Empty, Oversized
from apps.model_api.tei.schemas import (
    MAX_BATCH,
    Cutting,
    EmbedIn,
    PredictIn,
    RerankIn,
    SimilarityIn,
    TagIn,
)
from apps.model_api.vectors import embed_all, numbers, shortened

Answer = tuple[Any, int]
Scores = NDArray[np.float64]


def embed(body: EmbedIn, tenant_id: uuid.UUID) -> Answer:
    """Return one vector per text, in order."""
    texts = [body.inputs] if isinstance(body.inputs, str) else body.inputs
    _check_cutting(body)
    if not body.normalize:
        raise Invalid("`normalize` cannot be false: vectors have length 1 here", code="unsupported_parameter")
    vectors, tokens = _vectors(texts, body.model, tenant_id, truncate=body.truncate)
    return numbers(shortened(vectors, body.dimensions)), tokens


def similarity(body: SimilarityIn, tenant_id: uuid.UUID) -> Answer:
    """Return how like the source sentence each sentence is: the cosine of their vectors."""
    _check_cutting(body.parameters)
    _check_texts(body.inputs.sentences)
    texts = [body.inputs.source_sentence, *body.inputs.sentences]
    vectors, tokens = _vectors(texts, body.model, tenant_id, truncate=body.parameters.truncate)
    return (vectors[1:] @ vectors[0]).astype(np.float64).tolist(), tokens


def predict(body: PredictIn, tenant_id: uuid.UUID) -> Answer:
    """Return the labels with their scores, best first: a list for one text or pair, a list of lists for a batch.

    With `parameters`, which huggingface_hub's client sends and the server does not know, always a list of lists.
    """
    _check_cutting(body)
    single, texts = _sequences(body.inputs)
    _check_texts(texts)
    model = model_of("classifier", body.model)
    result = classify_texts(
        texts, tenant_id=tenant_id, deadline_s=settings.API_DEADLINE_S, priority="api", model=model.name
    )
    _check_cut(result.truncated, model, truncate=body.truncate)
    scores = _label_scores(result.logits.astype(np.float64), body)
    top_k = (body.parameters.top_k if body.parameters else None) or len(result.labels)
    rows = [_ranked(result.labels, row)[:top_k] for row in scores]
    return (rows[0] if single and body.parameters is None else rows), result.tokens


def rerank(body: RerankIn, tenant_id: uuid.UUID) -> Answer:
    """Return the texts' indexes with their relevance to the query, best first."""
    _check_cutting(body)
    _check_texts([body.query])
    _check_texts(body.texts)
    model = model_of("reranker", body.model)
    result = rerank_texts(
        body.query,
        body.texts,
        tenant_id=tenant_id,
        deadline_s=settings.API_DEADLINE_S,
        priority="api",
        model=model.name,
    )
    _check_cut(result.truncated, model, truncate=body.truncate)
    logits = result.logits.astype(np.float64)
    scores = logits if body.raw_scores else _sigmoid(logits)
    ranks = []
    for index in np.argsort(-scores, kind="stable").tolist():
        text = {"text": body.texts[index]} if body.return_text else {}
        ranks.append({"index": index, **text, "score": float(scores[index])})
    return ranks, result.tokens


def tag(body: TagIn, tenant_id: uuid.UUID) -> Answer:
    """Return the labelled spans of a text, or a list of them for each text of a batch. Offsets are code points."""
    texts = [body.inputs] if isinstance(body.inputs, str) else body.inputs
    _check_texts(texts)
    model = model_of("tagger", body.model)
    result = tag_texts(texts, tenant_id=tenant_id, deadline_s=settings.API_DEADLINE_S, priority="api", model=model.name)
    _check_cut(result.truncated, model, truncate=body.truncate)
    unwanted = {"O", *body.parameters.ignore_labels}
    rows = [[_entity(span) for span in spans if span.label not in unwanted] for spans in result.spans]
    return (rows[0] if isinstance(body.inputs, str) else rows), result.tokens


def _vectors(texts: list[str], name: str, tenant_id: uuid.UUID, *, truncate: bool) -> tuple[Any, int]:
    _check_texts(texts)
    model = model_of("embedding", name)
    result = embed_all(texts, tenant_id=tenant_id, model=model.name)
    _check_cut(result.truncated, model, truncate=truncate)
    return result.vectors, result.tokens


def _check_texts(texts: Sequence[str | tuple[str, str]]) -> None:
    if not texts:
        raise Empty("batch cannot be empty")
    if len(texts) > MAX_BATCH:
        raise Oversized(f"batch size {len(texts)} > maximum allowed batch size {MAX_BATCH}")
    if not all(all(text) if isinstance(text, tuple) else text for text in texts):
        raise Empty


def _check_cutting(body: Cutting) -> None:
    if body.truncate and body.truncation_direction.lower() == "left":
        raise Invalid("`truncation_direction` must be Right: texts are cut at their end", code="unsupported_parameter")
    if body.prompt_name is not None:
        raise Invalid("`prompt_name` is not supported: the models have no named prompts", code="unsupported_parameter")


def _check_cut(truncated: tuple[int, ...], model: ModelInfo, *, truncate: bool) -> None:
    if truncated and not truncate:
        raise Oversized(
            f"`inputs` must have at most {model.max_tokens} tokens, and the text at index {truncated[0]} has more. "
            "Send `truncate: true` to have it cut."
        )


def _sequences(inputs: str | list[str] | list[list[str]]) -> tuple[bool, list[str | tuple[str, str]]]:
    """Return whether `inputs` is one text or pair, and the texts and pairs."""
    if isinstance(inputs, list) and any(isinstance(one, list) for one in inputs):
        return False, [_sequence(one) for one in inputs]
    return True, [_sequence(cast("str | list[str]", inputs))] if inputs else []


def _sequence(given: str | list[str]) -> str | tuple[str, str]:
    if isinstance(given, str):
        return given
    if len(given) == 1:
        return given[0]
    if len(given) == 2:
        return given[0], given[1]
    raise Invalid("`inputs` must be a text, a list of one or two texts, or a list of such lists")


def _label_scores(logits: Scores, body: PredictIn) -> Scores:
    wanted = body.parameters.function_to_apply if body.parameters else None
    if body.raw_scores or wanted == "none":
        return logits
    # One label is a yes or no by itself; of several, one applies.
    if wanted == "sigmoid" or (wanted is None and logits.shape[1] == 1):
        return _sigmoid(logits)
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)


def _sigmoid(logits: Scores) -> Scores:
    # The other form overflows for large negative numbers.
    return 0.5 * (1 + np.tanh(0.5 * logits))


def _ranked(labels: Sequence[str], scores: Scores) -> list[dict[str, Any]]:
    order = np.argsort(-scores, kind="stable").tolist()
    return [{"score": float(scores[index]), "label": labels[index]} for index in order]


def _entity(span: Span) -> dict[str, Any]:
    return {
        "entity_group": span.label,
        "score": span.score,
        "word": span.text,
        "start": span.start,
        "end": span.end,
    }
