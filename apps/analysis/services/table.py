"""The tasks by name."""

from __future__ import annotations

from apps.analysis.services import language, sentiment
from apps.analysis.types import Task

TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Task("sentiment", sentiment.SentimentOptions, sentiment.run, sentiment.model_of, explains=True),
        Task("language", language.LanguageOptions, language.run, lambda _: language.MODEL),
    )
}
