"""The tasks by name."""

from __future__ import annotations

from apps.nlp.services import answer, classify, entities, generate, keywords, moderate, redact, sentiment, summarize
from apps.nlp.types import Task
from apps.translation.services import language, translate

TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Task("sentiment", sentiment.SentimentOptions, sentiment.run, sentiment.model_of, explains=True),
        Task("translate", translate.TranslateOptions, translate.run, translate.model_name),
        Task("classify", classify.ClassifyOptions, classify.run, classify.model_of, explains=True),
        Task("entities", entities.EntitiesOptions, entities.run, entities.model_of),
        Task("redact", redact.RedactOptions, redact.run, lambda _: redact.MODEL),
        Task("summarize", summarize.SummarizeOptions, summarize.run, summarize.model_of),
        Task("generate", generate.GenerateOptions, generate.run, generate.model_of),
        Task("answer", answer.AnswerOptions, answer.run, answer.model_of),
        Task("moderate", moderate.ModerateOptions, moderate.run, lambda _: moderate.MODEL, explains=True),
        Task("keywords", keywords.KeywordsOptions, keywords.run, keywords.model_of),
        Task("language", language.LanguageOptions, language.run, lambda _: language.MODEL),
    )
}
