"""From what to search for to a decision: each query in its turn, until one finds an answer. Pure: the search is given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from apps.assistant.condense import Query
from apps.assistant.decision import Decision, Found
from apps.nlp.services.grounding.exact import Exact, is_about_another
from apps.nlp.services.grounding.text import parts, term_set

# Passages searched for. Where a question names a version, a code or a number, many may be of others.
RETRIEVED, WIDE = 8, 40
# Passages in which words of the message itself are looked for.
_LOOKED_AT = 3

F = TypeVar("F", bound=Found)


@dataclass(frozen=True)
class Finding(Generic[F]):
    """The query that decided, what it found, the decision, what the query names exactly, and the question
    as it was asked, where the caller tells it."""

    query: str
    passages: tuple[F, ...]
    decision: Decision
    exact: tuple[Exact, ...] = ()
    asked: str = ""


def find(
    queries: Sequence[Query],
    search: Callable[[Query, int], Sequence[F]],
    decide: Callable[[str, Sequence[F]], Decision],
) -> Finding[F]:
    """Return the first query's finding that answers; of those that do not, the most confident one.

    `queries` are those of `condense_query`, at least one; `search` takes one and how many passages to return.
    """
    best: Finding[F] | None = None
    for query in queries:
        named = any(one.strict for one in query.exact)
        come = search(query, WIDE if named else RETRIEVED)
        passages = tuple(p for p in come if not named or not is_about_another(told(p), query.exact))[:RETRIEVED]
        nothing = Decision("abstain", "unknown_name", 0.0)
        decision = nothing if come and not passages else decide(query.text, passages)
        if decision.kind == "answer" and not _has_needed(query, passages):
            # An answer to an earlier question is none to this one.
            decision = replace(decision, kind="abstain", reason="not_found", confidence=0.0)
        found = Finding(query.text, passages, decision, query.exact)
        if decision.kind == "answer":
            return found
        if best is None or decision.confidence > best.decision.confidence:
            best = found
    assert best is not None  # noqa: S101  (there is a query)
    return best


def told(passage: Found) -> str:
    """Return everything by which a passage may name what it speaks of."""
    return f"{passage.title}\n{passage.heading}\n{passage.text}"


def _has_needed(query: Query, passages: Sequence[Found]) -> bool:
    if not query.needed:
        return True
    there = frozenset[str]().union(*(term_set(f"{p.heading} {p.text}") for p in passages[:_LOOKED_AT]))
    return any(term in there or all(part in there for part in parts(term)) for term in query.needed)
