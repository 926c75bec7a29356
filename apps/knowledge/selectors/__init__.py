"""Reads of the knowledge base."""

from apps.knowledge.selectors.passages import passage_view
from apps.knowledge.selectors.search import passages_search
from apps.knowledge.selectors.sources import collections_list, source_get, sources_list

__all__ = ["collections_list", "passage_view", "passages_search", "source_get", "sources_list"]
