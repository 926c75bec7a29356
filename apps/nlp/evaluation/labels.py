"""Sentiment, intents, language and moderation: right labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from apps.nlp.evaluation.report import Progress, Report, Row, rounded, tsv_read
from apps.nlp.evaluation.sentiment_data import LABELS, Rated, sentiment_fetch
from apps.nlp.services.classify import INTENTS
from apps.nlp.services.heads import vectors_of
from apps.nlp.services.intents import SUPPORT_INTENTS
from apps.nlp.services.moderate import CATEGORIES, MODEL, ModerateOptions
from apps.nlp.services.moderate import run as moderate_run
from apps.nlp.services.running import nlp_run
from apps.nlp.services.sentiment import MODEL as SENTIMENT_MODEL
from apps.nlp.services.sentiment import text_clean
from apps.translation.types import Call

_AT_ONCE = 256
# What a filter without a model looks for.
_SWEAR_WORDS = frozenset(
    {"idiot", "moron", "stupid", "shit", "fuck", "kill", "hurt", "die", "dead", "trash", "hate", "free", "win", "click"}
)


def results_of(call: Call, task: str, texts: Sequence[str], progress: Progress, **options: Any) -> list[dict[str, Any]]:
    results: list[dict[str, Any]] = []
    for begin in range(0, len(texts), _AT_ONCE):
        part = texts[begin : begin + _AT_ONCE]
        results += nlp_run(
            tenant_id=call.tenant_id, task=task, texts=part, options=options, priority="batch", deadline_s=call.left_s()
        )
        progress(len(results), len(texts))
    return results


def sentiment_evaluate(call: Call, progress: Progress) -> Report:
    """Macro-F1, accuracy and calibration on the test split, beside VADER and logistic regression on the same encoder."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import accuracy_score, f1_score
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    splits = sentiment_fetch()
    train, test = splits["train"], splits["test"]
    wanted = [row.label for row in test]
    found = results_of(call, "sentiment", [row.text for row in test], progress)
    ours = [one["label"] for one in found]
    vader = SentimentIntensityAnalyzer()
    ruled = [_vader_label(vader.polarity_scores(row.text)["compound"]) for row in test]
    plain = LogisticRegression(C=3, max_iter=2000, class_weight="balanced")
    plain.fit(vectors_of(call, _clean(train)), [row.label for row in train])
    guessed = list(plain.predict(vectors_of(call, _clean(test))))

    def scores(measure: Any) -> tuple[float, dict[str, float]]:
        figures = [rounded(measure(wanted, labels)) for labels in (ours, ruled, guessed)]
        return figures[0], {"VADER": figures[1], "MiniLM and logistic regression": figures[2]}

    macro = scores(lambda a, b: f1_score(a, b, average="macro", labels=list(LABELS)))
    return Report(
        "sentiment",
        SENTIMENT_MODEL,
        f"test split of the ratings that come with vaderSentiment 3.3.2: {len(test)} sentences of reviews and tweets",
        (
            Row("macro-F1", *macro),
            Row("accuracy", *scores(accuracy_score)),
            Row("expected calibration error (lower is better)", rounded(_calibration_error(found, wanted)), {}),
        ),
        "VADER's rules and lexicon are by the authors of the data.",
    )


def _clean(rows: Sequence[Rated]) -> list[str]:
    return [text_clean(row.text) for row in rows]


def _vader_label(compound: float) -> str:
    return LABELS[2] if compound >= 0.05 else LABELS[0] if compound <= -0.05 else LABELS[1]


def _calibration_error(found: Sequence[dict[str, Any]], wanted: Sequence[str]) -> float:
    """Return the mean gap, over ten bins, between how sure the labels are and how often they are right."""
    sure = np.array([max(one["probabilities"].values()) for one in found])
    right = np.array([one["label"] == label for one, label in zip(found, wanted, strict=True)])
    bins = np.minimum((sure * 10).astype(int), 9)
    return float(sum(abs(sure[bins == b].mean() - right[bins == b].mean()) * (bins == b).mean() for b in set(bins)))


def intents_evaluate(call: Call, progress: Progress) -> Report:
    """Accuracy of the intents that come with the product, beside words in common with the same phrases."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.metrics import f1_score

    rows = tsv_read("intents.tsv")
    wanted = [label for label, _ in rows]
    found = results_of(call, "classify", [text for _, text in rows], progress)
    ours = [one["label"] for one in found]
    vectorizer = TfidfVectorizer(ngram_range=(1, 2))
    phrases = [(label, phrase) for label, some in SUPPORT_INTENTS.items() for phrase in some]
    known = vectorizer.fit_transform([phrase for _, phrase in phrases])
    asked = vectorizer.transform([text for _, text in rows])
    words = [phrases[int(index)][0] for index in np.asarray((asked @ known.T).argmax(axis=1)).ravel()]
    macro = [rounded(f1_score(wanted, labels, average="macro", zero_division=0)) for labels in (ours, words)]
    right = [rounded(np.mean([a == b for a, b in zip(wanted, labels, strict=True)])) for labels in (ours, words)]
    return Report(
        "classify",
        INTENTS,
        f"{len(rows)} support messages labelled by hand with {len(SUPPORT_INTENTS)} intents (data/intents.tsv)",
        (
            Row("accuracy", right[0], {"nearest phrase by its words (TF-IDF)": right[1]}),
            Row("macro-F1", macro[0], {"nearest phrase by its words (TF-IDF)": macro[1]}),
        ),
        "Messages and phrases were written by the same people, at different times.",
    )


def language_evaluate(call: Call, progress: Progress) -> Report:
    """Accuracy on short messages, beside the commonest words and letters of each language."""
    rows = tsv_read("languages.tsv")
    found = results_of(call, "language", [text for _, text in rows], progress)
    right = np.mean([one["language"] == label for one, (label, _) in zip(found, rows, strict=True)])
    script = np.mean([_by_script(text) == label for label, text in rows])
    languages = len({label for label, _ in rows})
    return Report(
        "language",
        found[0]["model"],
        f"{len(rows)} short support messages in {languages} languages (data/languages.tsv)",
        (Row("accuracy", rounded(right), {"script alone, English for Latin letters": rounded(script)}),),
    )


def _by_script(text: str) -> str:
    """Return what the letters alone say."""
    ranges = (
        ("ja", "\u3040", "\u30ff"),
        ("zh", "\u4e00", "\u9fff"),
        ("ko", "\uac00", "\ud7a3"),
        ("ru", "\u0400", "\u04ff"),
        ("ar", "\u0600", "\u06ff"),
        ("he", "\u0590", "\u05ff"),
        ("hi", "\u0900", "\u097f"),
        ("el", "\u0370", "\u03ff"),
        ("th", "\u0e00", "\u0e7f"),
    )
    return next((code for code, low, high in ranges if any(low <= letter <= high for letter in text)), "en")


def moderation_evaluate(call: Call, progress: Progress) -> Report:
    """F1 of each category's flag and of any flag, beside a list of words."""
    rows = tsv_read("moderation.tsv")
    texts = [row[1] for row in rows]
    wanted = [frozenset(row[0].split(",")) - {""} for row in rows]
    outcomes = moderate_run(call, texts, ModerateOptions(thresholds=dict.fromkeys(CATEGORIES, 0.5)))
    found = [
        frozenset(name for name, one in outcome["categories"].items() if one["flagged"])
        for outcome in outcomes
        if isinstance(outcome, dict)
    ]
    progress(len(texts), len(texts))
    listed = [bool(_SWEAR_WORDS & set(text.lower().split())) for text in texts]
    some = [bool(labels) for labels in wanted]
    figures = [Row("F1 of any flag", _f1(some, [bool(one) for one in found]), {"list of words": _f1(some, listed)})]
    for name in CATEGORIES:
        figures.append(Row(f"F1 of {name}", _f1([name in one for one in wanted], [name in one for one in found]), {}))
    return Report(
        "moderate",
        MODEL,
        f"{len(rows)} messages labelled by hand, {sum(some)} of them harmful (data/moderation.tsv)",
        tuple(figures),
        "Written by the people who wrote the phrases that it learns from, at another time: foreign data will be harder.",
    )


def _f1(wanted: Sequence[bool], found: Sequence[bool]) -> float:
    hits = sum(a and b for a, b in zip(wanted, found, strict=True))
    return rounded(2 * hits / max(1, sum(wanted) + sum(found)))
