"""The tasks by name."""

from __future__ import annotations

from apps.analysis.services import classify, entities, language, redact, sentiment, translate
from apps.analysis.types import Task

TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Task("sentiment", sentiment.SentimentOptions, sentiment.run, sentiment.model_of, explains=True),
        Task("translate", translate.TranslateOptions, translate.run, translate.model_name),
        Task("classify", classify.ClassifyOptions, classify.run, classify.model_of, explains=True),
        Task("entities", entities.EntitiesOptions, entities.run, entities.model_of),
        Task("redact", redact.RedactOptions, redact.run, lambda _: redact.MODEL),
        Task("language", language.LanguageOptions, language.run, lambda _: language.MODEL),
    )
}
