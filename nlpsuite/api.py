"""The HTTP API: authentication, error shape, and the routers of the apps."""

from __future__ import annotations

import json
import math
from typing import Any

import structlog
from django.conf import settings
from django.core.exceptions import RequestDataTooBig, TooManyFieldsSent, TooManyFilesSent
from django.db import DataError, InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.http.multipartparser import MultiPartParserError
from django.middleware.csrf import CsrfViewMiddleware
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, ValidationError
from ninja.operation import Operation
from ninja.renderers import JSONRenderer
from ninja.security import HttpBearer
from psycopg_pool import PoolTimeout
from redis.exceptions import RedisError

from apps.accounts.access import ACTIVE_ORGANIZATION, access_principal_by_api_key, access_principal_by_user
from apps.accounts.api import router as accounts_router
from apps.accounts.api_public import router as invitations_router
from apps.accounts.types import Principal
from apps.assistant.api import router as assistant_router
from apps.batches.api import router as batches_router
from apps.conversations.api import router as conversations_router
from apps.core.errors import AppError, Forbidden, Invalid, NotFound, StorageFull, Unauthenticated, Unavailable
from apps.core.peers import client_network
from apps.core.storage import storage_is_full
from apps.insights.api import router as insights_router
from apps.knowledge.api import router as knowledge_router
from apps.nlp.api.classifiers import router as classifiers_router
from apps.nlp.api.tasks import router as nlp_router
from apps.tenants.selectors import organization_settings
from apps.translation.api import router as translation_router
from apps.usage.services import rate_check
from nlpsuite.parser import TextParser

log = structlog.get_logger(__name__)


def _admit(request: HttpRequest, principal: Principal) -> Principal:
    request.principal = principal  # type: ignore[attr-defined]
    limit = organization_settings(tenant_id=principal.tenant_id)["requests_per_minute"]
    rate_check(scope=principal.tenant_id, key="api", limit=limit, window_s=60)
    return principal


class ApiKeyAuth(HttpBearer):
    """Authorization: Bearer <api key>."""

    def authenticate(self, request: HttpRequest, token: str) -> Principal:
        return _admit(request, access_principal_by_api_key(token))


class SessionAuth:
    """The signed-in member of staff, in their active organisation; unsafe methods need the CSRF token."""

    def __call__(self, request: HttpRequest) -> Principal | None:
        if not request.user.is_authenticated:
            return None
        if request.method not in {"GET", "HEAD", "OPTIONS"} and not _has_csrf_token(request):
            raise Forbidden("The CSRF token is missing or wrong.", code="csrf_failed")
        wanted = request.session.get(ACTIVE_ORGANIZATION)
        return _admit(request, access_principal_by_user(request.user, wanted))


class InvitedAuth:
    """Anybody, at a bounded rate for each network address: what is asked for is in the body's token.

    A session is used with the CSRF token only. `request.own_page` says whether the caller has it.
    """

    def __call__(self, request: HttpRequest) -> bool:
        request.own_page = _has_csrf_token(request)  # type: ignore[attr-defined]
        if request.user.is_authenticated and not request.own_page:  # type: ignore[attr-defined]
            raise Forbidden("The CSRF token is missing or wrong.", code="csrf_failed")
        limit = settings.INVITATION_TRIES_PER_MINUTE
        rate_check(scope="public", key=f"invitations:{client_network(request)}", limit=limit, window_s=60)
        return True


def _has_csrf_token(request: HttpRequest) -> bool:
    return CsrfViewMiddleware(lambda _: HttpResponse()).process_view(request, _unused, (), {}) is None


def _unused(request: HttpRequest) -> HttpResponse:
    raise AssertionError("the CSRF check does not call the view")


class Renderer(JSONRenderer):
    """Compact UTF-8 JSON."""

    json_dumps_params = {"ensure_ascii": False, "separators": (",", ":")}


# Operations are named after the module that a route was written in, and programs that are made from the OpenAPI document
# call them so: a route keeps its name when it moves.
_NAMED_AFTER = {
    "apps.insights.api": "apps_analysis_api_conversations",
    "apps.batches.api": "apps_analysis_api_jobs",
    "apps.nlp.api.classifiers": "apps_analysis_api_classifiers",
    "apps.nlp.api.tasks": "apps_analysis_api_nlp",
    "apps.translation.api": "apps_analysis_api_translation",
}


class Api(NinjaAPI):
    """The API, whose operations keep their names."""

    def get_openapi_operation_id(self, operation: Operation) -> str:
        """Return the name of an operation in the OpenAPI document."""
        module, view = operation.view_func.__module__, operation.view_func.__name__
        return f"{_NAMED_AFTER.get(module, module.replace('.', '_'))}_{view}"


api = Api(
    title="nlpsuite",
    version="1",
    docs_url="/docs",
    openapi_url="/openapi.json",
    auth=[ApiKeyAuth(), SessionAuth()],
    urls_namespace="api",
    renderer=Renderer(),
    parser=TextParser(),
)
# Before the other: "accept" is not the id of an invitation.
api.add_router("/accounts/invitations", invitations_router, auth=InvitedAuth())
api.add_router("/accounts", accounts_router)
api.add_router("/knowledge", knowledge_router)
# Before the other: "search" is not the id of a conversation.
api.add_router("/conversations", insights_router)
api.add_router("/conversations", conversations_router)
api.add_router("/assistant", assistant_router)
api.add_router("/nlp", nlp_router)
api.add_router("/jobs", batches_router)
api.add_router("/analysis/classifiers", classifiers_router)
api.add_router("/analysis/translation", translation_router)


def error_response(request: HttpRequest, error: AppError) -> HttpResponse:
    """Return the one error shape of the API."""
    body: dict[str, Any] = {
        "code": error.code,
        "message": str(error.message),
        "request_id": getattr(request, "request_id", ""),
    }
    if error.details is not None:
        body["details"] = error.details
    response = HttpResponse(
        # What is said of a text may quote it.
        json.dumps({"error": body}, ensure_ascii=False, default=str).encode("utf-8", "replace"),
        status=error.status,
        content_type="application/json",
    )
    if error.retry_after_s is not None or error.status == 503:
        response.headers["Retry-After"] = str(max(1, math.ceil(error.retry_after_s or 2)))
    if error.status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


@api.exception_handler(AppError)
def _app_error(request: HttpRequest, error: AppError) -> HttpResponse:
    return error_response(request, error)


@api.exception_handler(AuthenticationError)
def _no_credentials(request: HttpRequest, error: AuthenticationError) -> HttpResponse:
    return error_response(request, Unauthenticated())


@api.exception_handler(ValidationError)
def _validation_error(request: HttpRequest, error: ValidationError) -> HttpResponse:
    details = [{"field": ".".join(map(str, e["loc"][1:])), "message": e["msg"]} for e in error.errors[:20]]
    return error_response(request, Invalid("A field is missing or has a value that is not allowed.", details=details))


@api.exception_handler(HttpError)
def _http_error(request: HttpRequest, error: HttpError) -> HttpResponse:
    if isinstance(error.__cause__, AppError):  # what the parser said of the body
        return error_response(request, error.__cause__)
    wrapped = Invalid(str(error), code="malformed")
    wrapped.status = error.status_code
    return error_response(request, wrapped)


@api.exception_handler(Http404)
def _missing(request: HttpRequest, error: Http404) -> HttpResponse:
    return error_response(request, NotFound())


@api.exception_handler(MultiPartParserError)
def _broken_multipart(request: HttpRequest, error: MultiPartParserError) -> HttpResponse:
    wrapped = Invalid("The multipart body cannot be read.", code="malformed")
    wrapped.status = 400
    return error_response(request, wrapped)


@api.exception_handler(RequestDataTooBig)
@api.exception_handler(TooManyFieldsSent)
@api.exception_handler(TooManyFilesSent)
def _too_big(request: HttpRequest, error: Exception) -> HttpResponse:
    wrapped = Invalid("The body is too large.", code="too_large")
    wrapped.status = 413
    return error_response(request, wrapped)


@api.exception_handler(DataError)
@api.exception_handler(UnicodeEncodeError)
def _not_storable(request: HttpRequest, error: Exception) -> HttpResponse:
    """A value beyond its column, or a text that the parser did not see: the caller's, whatever the field."""
    # Not its text: PostgreSQL quotes the value there.
    log.warning("api.not_storable", path=request.path, error=type(error).__name__)
    return error_response(request, Invalid("A value cannot be stored.", code="value_invalid"))


@api.exception_handler(OperationalError)
@api.exception_handler(InterfaceError)
@api.exception_handler(PoolTimeout)
@api.exception_handler(RedisError)
def _store_away(request: HttpRequest, error: Exception) -> HttpResponse:
    if storage_is_full(error):
        return _storage_full(request, error)
    log.warning("api.store_away", error=type(error).__name__)
    return error_response(request, Unavailable(retry_after_s=2))


def _storage_full(request: HttpRequest, error: Exception) -> HttpResponse:
    log.error("storage.full", path=request.path, error=type(error).__name__)
    return error_response(request, StorageFull())


@api.exception_handler(Exception)
def _internal(request: HttpRequest, error: Exception) -> HttpResponse:
    if storage_is_full(error):
        return _storage_full(request, error)
    log.exception("api.internal", path=request.path)
    return error_response(request, AppError())
