"""OpenAPI documents of everything that a program can ask: the API's own, and one made here for what has none."""

from __future__ import annotations

import re
from typing import Any

from pydantic import BaseModel

from apps.model_api.openai.schemas import ChatIn, CompletionIn, EmbeddingIn
from apps.model_api.tei.schemas import EmbedIn, PredictIn, RerankIn, SimilarityIn, TagIn
from tests.matrix.operations import SCHEMA

_TEXT = {"type": "string"}
_BODIES: dict[str, type[BaseModel]] = {
    "/v1/chat/completions": ChatIn,
    "/v1/completions": CompletionIn,
    "/v1/embeddings": EmbeddingIn,
    "/tei": EmbedIn,
    "/tei/embed": EmbedIn,
    "/tei/predict": PredictIn,
    "/tei/rerank": RerankIn,
    "/tei/similarity": SimilarityIn,
    "/tei/token_classification": TagIn,
}
# The routes of LibreTranslate read forms and JSON alike and have no schema: these are its fields.
_FIELDS: dict[str, dict[str, Any]] = {
    "/libretranslate/translate": {
        "q": {"anyOf": [_TEXT, {"type": "array", "items": _TEXT}]},
        "source": {"enum": ["en", "pt", "auto", "xx", ""]},
        "target": {"enum": ["en", "pt", "xx"]},
        "format": {"enum": ["text", "html", "x"]},
        "alternatives": {"type": "integer"},
    },
    "/libretranslate/detect": {"q": _TEXT},
}
_READ = ["/v1", "/v1/models", "/v1/models/{name}", "/tei/info", "/tei/health", "/v1/{name}", "/tei/{name}"]
_READ += [f"/libretranslate/{name}" for name in ("languages", "health", "frontend/settings", "{name}")]
_READ += ["/libretranslate/download_file/{name}"]
# Pages of people who are signed in, and of visitors, with all that any of them reads from its address.
PAGES = [
    "/knowledge/",
    "/knowledge/rows/",
    "/knowledge/search/",
    "/inbox/",
    "/studio/",
    "/operations/",
    "/widget/frame",
]
PAGES += ["/studio/translation/", "/studio/batches/", "/studio/classifiers/", "/accounts/login/", "/", "/demo/"]
PAGES += ["/knowledge/passage/", "/studio/{name}", "/knowledge/{name}", "/widget/{name}", "/healthz", "/readyz"]
_QUERY = ("q", "cursor", "t", "tab", "token", "origin", "locale", "theme", "after", "next", "collection", "limit")


def _named(path: str) -> list[dict[str, Any]]:
    return [{"name": name, "in": "path", "required": True, "schema": _TEXT} for name in re.findall(r"{(\w+)}", path)]


def _asking(path: str, names: tuple[str, ...]) -> dict[str, Any]:
    asked = [{"name": name, "in": "query", "schema": _TEXT} for name in names]
    return {"get": {"parameters": _named(path) + asked, "responses": {"200": {"description": "fine"}}}}


def _sending(content: dict[str, Any]) -> dict[str, Any]:
    body = {"required": True, "content": content}
    return {"post": {"requestBody": body, "responses": {"200": {"description": "fine"}}}}


def _document(paths: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    return {
        "openapi": "3.1.0",
        "info": {"title": "made for tests", "version": "1"},
        "paths": paths,
        "components": {"schemas": schemas},
    }


def _model_routes() -> dict[str, Any]:
    schemas: dict[str, Any] = {}
    paths: dict[str, Any] = {path: _asking(path, ("model",)) for path in _READ}
    for path, model in _BODIES.items():
        found = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas |= found.pop("$defs", {})
        paths[path] = paths.get(path, {}) | _sending({"application/json": {"schema": found}})
    for path, fields in _FIELDS.items():
        schema = {"type": "object", "properties": fields}
        forms = ("application/json", "application/x-www-form-urlencoded", "multipart/form-data")
        paths[path] = _sending({form: {"schema": schema} for form in forms})
    file = {"file": {"type": "string", "format": "binary"}, "target": _TEXT, "source": _TEXT}
    paths["/libretranslate/translate_file"] = _sending(
        {"multipart/form-data": {"schema": {"type": "object", "properties": file}}}
    )
    return _document(paths, schemas)


DOCUMENTS: dict[str, dict[str, Any]] = {
    "api": dict(SCHEMA),
    "models": _model_routes(),
    "pages": _document({path: _asking(path, _QUERY) for path in PAGES}, {}),
}
