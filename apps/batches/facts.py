"""What of a task's result is counted and shown: a label, a score, and the result in a few words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

OUTPUT_CHARS = 4_000
Result = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Facts:
    """`label` is "" where a task has none."""

    label: str
    score: float | None
    output: str


def facts_of(task: str, result: Result) -> Facts:
    """Return the facts of a result that is no error."""
    label, score, output = _BY_TASK.get(task, _plain)(result)
    number = float(score) if isinstance(score, int | float) else None
    return Facts(str(label or ""), number, str(output or "")[:OUTPUT_CHARS])


def _plain(result: Result) -> tuple[Any, Any, Any]:
    return result.get("label"), result.get("score"), result.get("text") or result.get("label")


def _classify(result: Result) -> tuple[Any, Any, Any]:
    label = result.get("label")
    return label, result.get("scores", {}).get(label), label


def _sentiment(result: Result) -> tuple[Any, Any, Any]:
    return result.get("label"), result.get("score"), result.get("label")


def _language(result: Result) -> tuple[Any, Any, Any]:
    return result.get("language"), result.get("confidence"), result.get("language")


def _moderate(result: Result) -> tuple[Any, Any, Any]:
    scores = {name: value for name, value in result.get("categories", {}).items() if isinstance(value, int | float)}
    worst = max(scores, key=lambda name: scores[name], default="")
    return worst if result.get("flagged") else "ok", scores.get(worst), worst if result.get("flagged") else "ok"


def _spans(result: Result) -> tuple[Any, Any, Any]:
    found = result.get("entities", [])
    kinds = Counter(str(one.get("type", "")) for one in found)
    output = result.get("text") or "; ".join(f"{one.get('text', '')} ({one.get('type', '')})" for one in found)
    return kinds.most_common(1)[0][0] if kinds else "none", len(found), output


def _summarize(result: Result) -> tuple[Any, Any, Any]:
    sentences = result.get("sentences", [])
    held = sum(bool(one.get("supported")) for one in sentences)
    label = "supported" if held == len(sentences) else "unsupported"
    return label, held / len(sentences) if sentences else None, result.get("summary")


def _answer(result: Result) -> tuple[Any, Any, Any]:
    answer = result.get("answer")
    return "found" if answer else "not found", result.get("score"), answer


def _keywords(result: Result) -> tuple[Any, Any, Any]:
    found = result.get("keywords", [])
    return "", found[0].get("score") if found else None, ", ".join(str(one.get("text", "")) for one in found)


def _generate(result: Result) -> tuple[Any, Any, Any]:
    return "", None, "\n\n".join(map(str, result.get("texts", [])))


def _translate(result: Result) -> tuple[Any, Any, Any]:
    return result.get("source"), None, result.get("text")


_BY_TASK: dict[str, Callable[[Result], tuple[Any, Any, Any]]] = {
    "sentiment": _sentiment,
    "classify": _classify,
    "language": _language,
    "moderate": _moderate,
    "entities": _spans,
    "redact": _spans,
    "summarize": _summarize,
    "answer": _answer,
    "keywords": _keywords,
    "generate": _generate,
    "translate": _translate,
}
