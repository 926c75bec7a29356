"""The search behind answers and drafts."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace

from apps.assistant.condense import Query
from apps.knowledge.selectors import passages_search
from apps.knowledge.types import Passage
from apps.nlp.services.grounding.check import Embed
from apps.nlp.services.grounding.exact import holds
from apps.nlp.services.grounding.text import passage_sentences

# Sentences that are compared with a question by themselves.
_MOST_SENTENCES = 16


def search_by(
    *, tenant_id: uuid.UUID, collections: Sequence[str], embed: Embed
) -> Callable[[Query, int], tuple[Passage, ...]]:
    """Return a search in the organisation's documents, in `collections` or all, for the query and so many passages.

    A passage with the version, code or number that the query names is as near as its nearest sentence with it: a list of
    articles is about all of them, and near to a question about one only there.
    """

    def search(query: Query, k: int) -> tuple[Passage, ...]:
        found = passages_search(
            tenant_id=tenant_id, query=query.text, k=k, collections=tuple(collections) or None
        ).passages
        strict = [one for one in query.exact if one.strict]
        spots = [
            (index, sentence.text)
            for index, passage in enumerate(found)
            for sentence in (passage_sentences(passage.text) if strict else ())
            if any(holds(sentence.text, one) for one in strict)
        ][:_MOST_SENTENCES]
        if not spots:
            return found
        asked, *vectors = embed([query.text, *(text for _, text in spots)])
        nearest = {index: passage.cosine for index, passage in enumerate(found)}
        for (index, _), vector in zip(spots, vectors, strict=True):
            nearest[index] = max(nearest[index], float(asked @ vector))
        sharpened = (
            replace(passage, cosine=nearest[index], score=passage.score + nearest[index] - passage.cosine)
            for index, passage in enumerate(found)
        )
        return tuple(sorted(sharpened, key=lambda passage: passage.score, reverse=True))

    return search
