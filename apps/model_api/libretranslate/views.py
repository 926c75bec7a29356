"""LibreTranslate's routes: POST /translate, /detect, /translate_file; GET /languages, /health.

Source: the API of LibreTranslate 1.9. Each text's language is detected by itself; there, that of a batch is one. Models
here give one translation, so `alternatives` are empty lists. Browsers of any site may call, as there: the key is in the
body, and no cookie counts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from django.conf import settings
from django.http import FileResponse, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from apps.core.errors import AppError, DeadlineExceeded, Invalid, NotFound, Unavailable
from apps.core.offload import offload
from apps.core.tenancy import connection_release
from apps.inference.services import engine_ready
from apps.model_api.http import endpoint, json_response
from apps.model_api.libretranslate import reading
from apps.model_api.libretranslate.errors import error_body
from apps.model_api.services import call_admit, call_settle
from apps.model_api.types import Admission
from apps.translation.services import documents, language, pairs, translate
from apps.translation.types import MAX_CHARS, MAX_TEXTS, Call

View = Callable[..., HttpResponseBase]
# How often a call that waits for a file looks whether it is ready.
_POLL_S = 0.25
Work = Callable[[Mapping[str, Any], Admission], tuple[Any, int]]


def _open(*methods: str) -> Callable[[View], View]:
    """Make a view that browsers of every site may call, with its preflight."""

    def decorate(view: View) -> View:
        inner = endpoint(error_body, *methods)(view)

        @wraps(view)
        def opened(request: HttpRequest, **kwargs: Any) -> HttpResponseBase:
            response: HttpResponseBase = (
                HttpResponse(status=204) if request.method == "OPTIONS" else inner(request, **kwargs)
            )
            response.headers["Access-Control-Allow-Origin"] = "*"
            response.headers["Access-Control-Allow-Headers"] = "Authorization, Content-Type"
            response.headers["Access-Control-Allow-Methods"] = ", ".join((*methods, "OPTIONS"))
            return response

        opened.csrf_exempt = True  # type: ignore[attr-defined]
        return opened

    return decorate


def _answer(request: HttpRequest, work: Work) -> HttpResponse:
    values = reading.values_of(request)
    admission, tokens = call_admit(reading.key_of(request, values)), 0
    try:
        answer, tokens = work(values, admission)
        return json_response(answer)
    finally:
        call_settle(admission, tokens=tokens)


@_open("POST")
def translate_view(request: HttpRequest) -> HttpResponse:
    """Translate `q`, a text or a list of texts."""
    return _answer(request, _translate)


def _translate(values: Mapping[str, Any], admission: Admission) -> tuple[Any, int]:
    texts, many = reading.texts_of(values)
    source, target = reading.languages_of(values)
    wanted = reading.alternatives_of(values)
    options = translate.TranslateOptions.model_validate(
        {"source": source, "target": target, "format": reading.format_of(values)}
    )
    call = Call(admission.tenant_id, deadline=time.monotonic() + settings.API_DEADLINE_S)
    outcomes, tokens = offload(
        translate.texts_translate, call.tenant_id, sum(map(len, texts)), settings.API_DEADLINE_S, call, texts, options
    )
    found = []
    for outcome in outcomes:
        if isinstance(outcome, AppError):
            raise outcome
        found.append(outcome)
    answer: dict[str, Any] = {"translatedText": _shape([one["text"] for one in found], many)}
    if source == "auto":
        answer["detectedLanguage"] = _shape([_detected(one["source"], one["confidence"]) for one in found], many)
    if wanted:
        answer["alternatives"] = _shape([[] for _ in found], many)
    return answer, tokens


def _shape(items: list[Any], many: bool) -> Any:
    return items if many else items[0]


def _detected(code: str, confidence: float) -> dict[str, Any]:
    """Return a detected language as it is written there; a text without words is English with no confidence."""
    known = code != "und"
    return {"confidence": round(100 * confidence) if known else 0, "language": code if known else "en"}


@_open("POST")
def detect(request: HttpRequest) -> HttpResponse:
    """Name the language of `q`."""
    return _answer(request, _detect)


def _detect(values: Mapping[str, Any], admission: Admission) -> tuple[Any, int]:
    texts, _ = reading.texts_of(values)
    text = " ".join(texts)
    found = offload(language.language_of, admission.tenant_id, len(text), settings.API_DEADLINE_S, text)
    return [_detected(*found)], 0


@_open("POST")
def translate_file(request: HttpRequest) -> HttpResponse:
    """Translate a file, and answer with an address that it can be fetched from for a week."""
    request.get_host()  # the answer names it: a foreign one is refused before anything is made
    values = reading.values_of(request)
    admission = call_admit(reading.key_of(request, values))
    try:
        source, target = reading.languages_of(values)
        file = request.FILES.get("file")
        if file is None:
            raise Invalid("Invalid request: missing file parameter", code="file_missing")
        made = documents.document_create(tenant_id=admission.tenant_id, file=file, source=source, target=target)
        path = documents.document_link(tenant_id=admission.tenant_id, document_id=made.id)
        _wait(admission, made.id)
        return json_response({"translatedFileUrl": request.build_absolute_uri(path)})
    finally:
        call_settle(admission, tokens=0)


def _wait(admission: Admission, document_id: str) -> None:
    """Return when a document is translated. Raises Invalid with the reason why it cannot be, DeadlineExceeded."""
    deadline = time.monotonic() + settings.API_DEADLINE_S
    while time.monotonic() < deadline:
        found = documents.document_get(tenant_id=admission.tenant_id, document_id=document_id)
        if found.error:
            raise Invalid(found.error["message"], code=found.error["code"])
        if found.status == "ready":
            return
        connection_release()
        time.sleep(_POLL_S)
    raise DeadlineExceeded(retry_after_s=10)


@_open("GET")
def download_file(request: HttpRequest, token: str) -> FileResponse:
    """Give a translated file to whoever has its address."""
    file, name = documents.document_open_by_token(token=token)
    return FileResponse(file, as_attachment=True, filename=name, content_type="application/octet-stream")


@_open("GET")
def languages(request: HttpRequest) -> HttpResponse:
    """List the languages and what each can be translated into; no key is needed."""
    targets = pairs.languages_targets()
    return json_response(
        [
            {"code": code, "name": pairs.language_name(code), "targets": sorted({*found, code})}
            for code, found in sorted(targets.items())
        ]
    )


@_open("GET")
def health(request: HttpRequest) -> HttpResponse:
    """Say whether the models answer; no key is needed."""
    if not engine_ready():
        raise Unavailable("The models do not answer", code="model_unavailable", retry_after_s=2)
    return json_response({"status": "ok"})


@_open("GET")
def frontend_settings(request: HttpRequest) -> HttpResponse:
    """Say what this installation allows; no key is needed."""
    codes = sorted(pairs.languages_targets())
    return json_response(
        {
            "apiKeys": True,
            "keyRequired": True,
            "charLimit": MAX_CHARS,
            "batchLimit": MAX_TEXTS,
            "frontendTimeout": 1000,
            "suggestions": False,
            "filesTranslation": True,
            "supportedFilesFormat": [f".{kind}" for kind in documents.document_formats()],
            "language": {
                "source": {"code": "auto", "name": "Auto Detect"},
                "target": {"code": codes[0], "name": pairs.language_name(codes[0])} if codes else {},
            },
        }
    )


@_open("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD")
def unknown(request: HttpRequest, path: str = "") -> HttpResponse:
    """Refuse in the shape that clients of these routes can read."""
    if path == "suggest":
        raise Invalid("Suggestions are not kept here", code="suggestions_off")
    raise NotFound(f"There is no route {request.path}")
