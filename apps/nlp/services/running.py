"""The one door to the tasks: for the API, the studio, batches and conversations."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from apps.core.errors import AppError, Invalid, NotFound, TooLarge
from apps.core.offload import offload
from apps.inference.types import Priority
from apps.nlp.services.table import TASKS
from apps.nlp.types import Task
from apps.translation.types import MAX_CHARS, MAX_TEXTS, Call, Options, Outcome

_SURROGATE = re.compile(r"[\ud800-\udfff]")


def nlp_run(
    *,
    tenant_id: uuid.UUID,
    task: str,
    texts: Sequence[str],
    options: Mapping[str, Any] | None = None,
    priority: Priority = "api",
    deadline_s: float = 30.0,
) -> list[dict[str, Any]]:
    """Return what `task` makes of each text, in order; an item that failed is `{"error": {"code", "message"}}`.

    Shape:  the fields of each task are those of docs/guide/nlp-api.md; every result also has `model`.
    Limits: at most 256 texts of at most 200,000 characters.
    Errors: of all texts together: NotFound "task_not_found", Invalid "options_invalid", TooLarge, Busy, Unavailable,
            DeadlineExceeded, and what the task itself refuses (a language that no model knows).
    """
    chosen = task_get(task)
    parsed = options_parse(chosen, options or {})
    if len(texts) > MAX_TEXTS:
        raise TooLarge(f"At most {MAX_TEXTS} texts can be given at once; use a batch for more.", code="too_many_texts")
    call = Call(tenant_id, priority, time.monotonic() + deadline_s)
    return offload(_texts_run, tenant_id, sum(map(len, texts)), deadline_s, call, task, texts, parsed)


def _texts_run(call: Call, task: str, texts: Sequence[str], parsed: Options) -> list[dict[str, Any]]:
    """Return the outcomes; what is in it may hold the interpreter for as long as a text is long."""
    chosen = TASKS[task]
    # Lone surrogates, which JSON can spell and nothing can write. One character for one: places stay true.
    texts = [_SURROGATE.sub("\ufffd", text) for text in texts]
    outcomes: list[Outcome | None] = [_refused(chosen, text) for text in texts]
    wanted = [index for index, refused in enumerate(outcomes) if refused is None]
    if wanted:
        model = chosen.model(parsed)
        for index, outcome in zip(wanted, chosen.run(call, [texts[i] for i in wanted], parsed), strict=True):
            outcomes[index] = outcome if isinstance(outcome, AppError) else {"model": model} | outcome
    return [_plain(outcome) for outcome in outcomes]


def task_get(name: str) -> Task:
    """Return a task. Raises NotFound."""
    if name not in TASKS:
        raise NotFound(f"There is no task of this name. There are: {', '.join(TASKS)}.", code="task_not_found")
    return TASKS[name]


def options_parse(task: Task, options: Mapping[str, Any]) -> Options:
    """Return the options with their defaults. Raises Invalid "options_invalid" with the fields that are wrong."""
    given = dict(options)
    if "explain" in given and not task.explains:
        raise Invalid(f"{task.name} has nothing to explain.", code="explain_unsupported")
    try:
        return task.options.model_validate(given)
    except ValidationError as error:
        details = [{"field": ".".join(map(str, e["loc"])), "message": e["msg"]} for e in error.errors()[:20]]
        raise Invalid(
            "An option is missing or has a value that is not allowed.", code="options_invalid", details=details
        ) from error


def _refused(task: Task, text: str) -> AppError | None:
    """Return why a text cannot be read, or None."""
    if len(text) > MAX_CHARS:
        return TooLarge(f"A text may have at most {MAX_CHARS} characters.", code="text_too_long")
    if task.needs_text and not text.strip():
        return Invalid("The text is empty.", code="text_empty")
    return None


def _plain(outcome: Outcome | None) -> dict[str, Any]:
    if isinstance(outcome, AppError):
        return {"error": {"code": outcome.code, "message": str(outcome.message)}}
    return outcome or {}
