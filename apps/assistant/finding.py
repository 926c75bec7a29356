"""From what to search for to a decision: each query in its turn, until one finds an answer. Pure: the search is given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from apps.assistant.condense import Query
from apps.assistant.decision import Decision, Found
from apps.nlp.services.grounding.text import parts, term_set

# Passages in which words of the message itself are looked for.
_LOOKED_AT = 3

F = TypeVar("F", bound=Found)


@dataclass(frozen=True)
class Finding(Generic[F]):
    """The query that decided, what it found, and the decision."""

    query: str
    passages: tuple[F, ...]
    decision: Decision


def find(
    queries: Sequence[Query], search: Callable[[str], Sequence[F]], decide: Callable[[str, Sequence[F]], Decision]
) -> Finding[F]:
    """Return the first query's finding that answers; of those that do not, the most confident one.

    `queries` are those of `condense_query`, at least one.
    """
    best: Finding[F] | None = None
    for query in queries:
        passages = tuple(search(query.text))
        decision = decide(query.text, passages)
        if decision.kind == "answer" and not _has_needed(query, passages):
            # An answer to an earlier question is none to this one.
            decision = replace(decision, kind="abstain", reason="not_found", confidence=0.0)
        found = Finding(query.text, passages, decision)
        if decision.kind == "answer":
            return found
        if best is None or decision.confidence > best.decision.confidence:
            best = found
    assert best is not None  # noqa: S101  (there is a query)
    return best


def _has_needed(query: Query, passages: Sequence[Found]) -> bool:
    if not query.needed:
        return True
    there = frozenset[str]().union(*(term_set(f"{p.heading} {p.text}") for p in passages[:_LOOKED_AT]))
    return any(term in there or all(part in there for part in parts(term)) for term in query.needed)
