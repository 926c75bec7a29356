"""TEI's routes: POST /tei/embed, /predict, /rerank, /similarity, /token_classification; GET /tei/info, /tei/health.

One installation has models of several roles. Each route takes the default of its role, or the catalogue entry that the
field or the query parameter `model` names. POST /tei does what the named model is for; without a name it embeds, unless
the body says otherwise.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any, TypeVar

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from pydantic import BaseModel

from apps.core.errors import Invalid, NotFound, Unavailable
from apps.inference.services import default_model, engine_ready, model_get
from apps.inference.types import ModelInfo
from apps.model_api.http import bearer, endpoint, json_body, json_response, validated
from apps.model_api.services import call_admit, call_settle
from apps.model_api.tei import work
from apps.model_api.tei.errors import error_body
from apps.model_api.tei.schemas import MAX_BATCH, EmbedIn, PredictIn, RerankIn, SimilarityIn, TagIn, without_nulls
from apps.tenants.selectors import organization_settings

Body = TypeVar("Body", bound=BaseModel)
Work = Callable[[dict[str, Any], uuid.UUID], work.Answer]


def _of(schema: type[Body], run: Callable[[Body, uuid.UUID], work.Answer]) -> Work:
    return lambda values, tenant_id: run(validated(schema, values), tenant_id)


_embed = _of(EmbedIn, work.embed)
_predict = _of(PredictIn, work.predict)
_rerank = _of(RerankIn, work.rerank)
_similarity = _of(SimilarityIn, work.similarity)
_tag = _of(TagIn, work.tag)


def _by_role(values: dict[str, Any], tenant_id: uuid.UUID) -> work.Answer:
    role = model_get(name=values["model"]).role if isinstance(values.get("model"), str) else ""
    if role == "reranker" or (not role and "query" in values):
        return _rerank(values, tenant_id)
    if role == "classifier":
        return _predict(values, tenant_id)
    if role == "tagger":
        return _tag(values, tenant_id)
    if role not in {"", "embedding"}:
        raise Invalid(f"A {role} model is not served here", code="model_role")
    return (_similarity if isinstance(values.get("inputs"), dict) else _embed)(values, tenant_id)


def _answer(request: HttpRequest, run: Work) -> HttpResponse:
    admission, tokens = call_admit(bearer(request)), 0
    try:
        values = without_nulls(json_body(request))
        if request.GET.get("model"):
            values.setdefault("model", request.GET["model"])
        answer, tokens = run(values, admission.tenant_id)
        return json_response(answer)
    finally:
        call_settle(admission, tokens=tokens)


@endpoint(error_body, "POST")
def embed(request: HttpRequest) -> HttpResponse:
    """Embed texts."""
    return _answer(request, _embed)


@endpoint(error_body, "POST")
def predict(request: HttpRequest) -> HttpResponse:
    """Classify texts or pairs of texts."""
    return _answer(request, _predict)


@endpoint(error_body, "POST")
def rerank(request: HttpRequest) -> HttpResponse:
    """Order texts by their relevance to a query."""
    return _answer(request, _rerank)


@endpoint(error_body, "POST")
def similarity(request: HttpRequest) -> HttpResponse:
    """Compare sentences with one."""
    return _answer(request, _similarity)


@endpoint(error_body, "POST")
def token_classification(request: HttpRequest) -> HttpResponse:
    """Find labelled spans, e.g. names."""
    return _answer(request, _tag)


@endpoint(error_body, "POST")
def root(request: HttpRequest) -> HttpResponse:
    """Do what the named model is for."""
    return _answer(request, _by_role)


@endpoint(error_body, "GET")
def info(request: HttpRequest) -> HttpResponse:
    """Say which model answers, and the limits."""
    admission = call_admit(bearer(request), permit=False)
    name = request.GET.get("model", "")
    model = model_get(name=name) if name else default_model("embedding")
    limits = organization_settings(tenant_id=admission.tenant_id)
    return json_response(
        {
            "model_id": model.name,
            "model_sha": model.revision,
            "model_dtype": settings.INFERENCE_EMBED_DTYPE if model.role == "embedding" else "auto",
            "model_type": _model_type(model),
            "max_concurrent_requests": limits["max_concurrent_calls"],
            "max_input_length": model.max_tokens,
            "max_batch_tokens": MAX_BATCH * model.max_tokens,
            "max_batch_requests": None,
            "max_client_batch_size": MAX_BATCH,
            "auto_truncate": False,
            "version": settings.VERSION,
        }
    )


def _model_type(model: ModelInfo) -> dict[str, Any]:
    """Return the role as TEI names it; it calls the others nothing."""
    if model.role == "classifier":
        names = {str(number): label for number, label in enumerate(model.labels)}
        numbers = {label: number for number, label in enumerate(model.labels)}
        return {"classifier": {"id2label": names, "label2id": numbers}}
    return {model.role: {}}


@endpoint(error_body, "GET")
def health(request: HttpRequest) -> HttpResponse:
    """Say whether the models answer; no key is needed."""
    if not engine_ready():
        raise Unavailable("The models do not answer.", code="model_unavailable", retry_after_s=2)
    return HttpResponse(status=200)


@endpoint(error_body, "GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
def unknown(request: HttpRequest, path: str = "") -> HttpResponse:
    """Refuse in the shape that clients of these routes can read."""
    call_admit(bearer(request), permit=False)
    raise NotFound(f"There is no route {request.path}")
