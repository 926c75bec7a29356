"""What is known of the model behind each task: its licence, its limits, and how well it did where it was measured."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from apps.core.errors import NotFound
from apps.inference.services import default_model, model_get
from apps.nlp.types import Task

# Written by `manage.py evaluate --write`, with docs/guide/nlp-quality.md.
MEASURED = Path(__file__).resolve().parents[1] / "evaluation" / "measured.json"
_LANGUAGES = {
    "sentiment": "en",
    "classify": "en",
    "entities": "en",
    "redact": "en, pt, es, de, fr, it, pl, nl",
    "summarize": "en",
    "translate": "en-pt, pt-en",
    "generate": "en",
    "answer": "en",
    "moderate": "en",
    "language": "97",
    "keywords": "en, zh",
}


@cache
def _measured() -> dict[str, Any]:
    try:
        return {report["task"]: report for report in json.loads(MEASURED.read_text(encoding="utf-8"))}
    except OSError:
        return {}


def card_of(task: Task) -> dict[str, Any]:
    """Return the card of a task's default model: `{"model", "source", "licence", "languages", "quality"}`.

    `quality` is `{"data", "rows": [{"metric", "ours", "baselines"}], "note"}` of the packaged model, or None for a model
    that was not measured here.
    """
    model = default_model("translator").name if task.name == "translate" else task.model(task.options.model_construct())
    report = _measured().get(task.name)
    quality = {name: report[name] for name in ("data", "rows", "note")} if report and report["model"] == model else None
    try:
        info = model_get(name=model)
        origin = {"source": info.source, "licence": info.licence, "revision": info.revision}
    except NotFound:
        origin = {"source": "nlpsuite", "licence": "", "revision": ""}
    return {"model": model, "languages": _LANGUAGES[task.name], "quality": quality} | origin
