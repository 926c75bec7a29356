"""Reads LibreTranslate's requests: JSON, a form, or the query, whichever a client sends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest
from django.http.multipartparser import MultiPartParserError

from apps.core.errors import Invalid, TooLarge, Unauthenticated
from apps.model_api.http import bearer, json_body
from apps.model_api.libretranslate.errors import KeyMissing
from apps.translation.services import pairs
from apps.translation.types import MAX_CHARS, MAX_TEXTS

MAX_ALTERNATIVES = 10


def values_of(request: HttpRequest) -> Mapping[str, Any]:
    """Return the fields of a request. Raises Invalid "malformed", TooLarge."""
    if (request.content_type or "").partition(";")[0].strip() == "application/json":
        return json_body(request)
    try:
        form = request.POST
    except RequestDataTooBig:
        raise TooLarge from None
    except (MultiPartParserError, UnicodeError):
        raise Invalid("Invalid request: the form could not be read", code="malformed") from None
    fields: dict[str, Any] = {**request.GET.dict(), **form.dict()}
    if len(form.getlist("q")) > 1:
        fields["q"] = form.getlist("q")
    return fields


def key_of(request: HttpRequest, values: Mapping[str, Any]) -> str:
    """Return the API key: the field `api_key`, or the header that all other routes take. Raises KeyMissing."""
    key = values.get("api_key")
    if isinstance(key, str) and key.strip():
        return key.strip()
    try:
        return bearer(request)
    except Unauthenticated:
        raise KeyMissing from None


def texts_of(values: Mapping[str, Any]) -> tuple[list[str], bool]:
    """Return the texts of `q`, and whether it was a list. Raises Invalid: missing, no text, too long, too many."""
    q = values.get("q")
    if q is None or q in ("", []):
        raise Invalid("Invalid request: missing q parameter", code="q_missing")
    texts = q if isinstance(q, list) else [q]
    if not all(isinstance(text, str) for text in texts):
        raise Invalid("Invalid request: q must be a text or a list of texts", code="q_invalid")
    size = sum(map(len, texts))
    if size > MAX_CHARS:
        raise Invalid(f"Invalid request: request ({size}) exceeds text limit ({MAX_CHARS})", code="text_too_long")
    if len(texts) > MAX_TEXTS:
        raise Invalid(
            f"Invalid request: request ({len(texts)}) exceeds batch limit ({MAX_TEXTS})", code="too_many_texts"
        )
    return texts, isinstance(q, list)


def languages_of(values: Mapping[str, Any]) -> tuple[str, str]:
    """Return source ("auto" or a code) and target. Raises Invalid where one is missing or not supported."""
    found = []
    for name in ("source", "target"):
        code = values.get(name)
        if not isinstance(code, str) or not code:
            raise Invalid(f"Invalid request: missing {name} parameter", code=f"{name}_missing")
        if not (name == "source" and code == "auto") and not pairs.language_known(code):
            raise Invalid(f"{code[:20]} is not supported", code="language_unknown")
        found.append(code)
    return found[0], found[1]


def alternatives_of(values: Mapping[str, Any]) -> int:
    """Return how many other translations are wanted. Raises Invalid."""
    try:
        wanted = int(values.get("alternatives") or 0)
    except (TypeError, ValueError):
        wanted = -1
    if not 0 <= wanted <= MAX_ALTERNATIVES:
        raise Invalid(
            f"Invalid request: alternatives must be from 0 to {MAX_ALTERNATIVES}", code="alternatives_invalid"
        )
    return wanted


def format_of(values: Mapping[str, Any]) -> str:
    """Return "text" or "html". Raises Invalid."""
    wanted = values.get("format") or "text"
    if wanted not in ("text", "html"):
        raise Invalid(f"{str(wanted)[:20]} format is not supported", code="format_unknown")
    return str(wanted)
