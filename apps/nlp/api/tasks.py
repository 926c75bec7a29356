"""/api/v1/nlp: the language tasks."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja import Router
from pydantic import BaseModel, ConfigDict

from apps.accounts.access import principal_of
from apps.core.errors import AppError, Invalid
from apps.nlp.services import TASKS, nlp_run
from apps.nlp.services.cards import card_of
from apps.nlp.types import Task
from apps.translation.types import MAX_CHARS, MAX_TEXTS

router = Router(tags=["nlp"])


class NlpIn(BaseModel):
    """`text` or `texts`; everything else is an option of the task. Not a Schema of ninja: that loses extra fields."""

    model_config = ConfigDict(extra="allow")

    text: str | None = None
    texts: list[str] | None = None


@router.get("")
def tasks(request: HttpRequest) -> dict[str, Any]:
    """The tasks, with the JSON schema of their options and the card of the model that answers by default."""
    principal_of(request).require("analysis:use")
    items = [
        {
            "task": task.name,
            "explains": task.explains,
            "options": task.options.model_json_schema(),
            "card": card_of(task),
        }
        for task in TASKS.values()
    ]
    return {"items": items, "max_texts": MAX_TEXTS, "max_chars": MAX_CHARS}


def _run(request: HttpRequest, task: str, body: NlpIn) -> Any:
    principal = principal_of(request)
    principal.require("analysis:use")
    if (body.text is None) == (body.texts is None):
        raise Invalid("Give either text or texts.", code="text_or_texts")
    texts = [body.text] if body.text is not None else body.texts or []
    results = nlp_run(tenant_id=principal.tenant_id, task=task, texts=texts, options=body.model_extra or {})
    if body.text is None:
        return results
    if "error" in results[0]:
        error = results[0]["error"]
        raise _error_of(error["code"], error["message"])
    return results[0]


def _route(task: Task) -> None:
    """Give a task its route, with its options in the OpenAPI document."""

    def run(request: HttpRequest, body: NlpIn) -> Any:
        return _run(request, task.name, body)

    router.post(
        f"/{task.name}",
        response=Any,
        operation_id=f"nlp_{task.name}",
        summary=f"Run {task.name} on `text` (one result) or `texts` (a list in order, item errors in place).",
        openapi_extra={"x-options": task.options.model_json_schema().get("properties", {})},
    )(run)


for _task in TASKS.values():
    _route(_task)


def _error_of(code: str, message: str) -> AppError:
    """Return an item's error as that of the call, under the status that the code has elsewhere."""
    error: AppError = Invalid(message, code=code)
    if code in {"text_too_long", "too_large"}:
        error.status = 413
    elif code in {"busy", "unavailable", "deadline_exceeded"}:
        error.status = 503
    return error
