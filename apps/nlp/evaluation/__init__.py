"""How well the tasks do, on data that anybody can fetch, beside simple baselines."""

from __future__ import annotations

from apps.nlp.evaluation.drafts import drafts_evaluate
from apps.nlp.evaluation.labels import intents_evaluate, language_evaluate, moderation_evaluate, sentiment_evaluate
from apps.nlp.evaluation.report import Evaluate, Report
from apps.nlp.evaluation.spans import answers_evaluate, entities_evaluate, redaction_evaluate
from apps.nlp.evaluation.summaries import keywords_evaluate, summaries_evaluate
from apps.nlp.evaluation.translation import translation_evaluate

EVALUATIONS: dict[str, Evaluate] = {
    "sentiment": sentiment_evaluate,
    "classify": intents_evaluate,
    "entities": entities_evaluate,
    "redact": redaction_evaluate,
    "summarize": summaries_evaluate,
    "translate": translation_evaluate,
    "generate": drafts_evaluate,
    "answer": answers_evaluate,
    "moderate": moderation_evaluate,
    "language": language_evaluate,
    "keywords": keywords_evaluate,
}

__all__ = ["EVALUATIONS", "Evaluate", "Report"]
