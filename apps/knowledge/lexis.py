"""Words of a text as index terms: one analyser for passages and queries, online and in measurements. Pure, no Django.

English words are stemmed (Snowball), stop words left out, Chinese is segmented by jieba; every term is letters and
digits only, so it can be written into a tsvector literal.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from threading import Lock

import snowballstemmer

from apps.core.chinese import segmenter

MAX_TERM_CHARS = 60
_MAX_POSITION = 16_383  # of PostgreSQL's tsvector
_CJK = r"\u3005\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_RUN = re.compile(rf"[{_CJK}]+|[^\W_{_CJK}]+")
_CJK_START = re.compile(rf"[{_CJK}]")
_ENDING = re.compile(r"['’](?:s|t|re|ve|ll|d|m)\b", re.IGNORECASE)

_STOP_TEXT = """
a about above after again all also am an and any are as at be because been before being below between both but by can
could did do does doing don down during each few for from further get gets had has have having he her here hers him his
how i if in into is it its itself just let like me more most my no nor not now of off on once one only or other our out
over own please same she should so some such than that the their them then there these they this those through to too
under until up us very want was we were what when where which while who whom why will with would you your yours
的 了 和 是 在 我 你 您 吗 呢 吧 啊 怎么 什么 如何 哪 哪些 请问 请 有 与 或 及 这 那 们 我们 你们 可以
"""
STOP_WORDS = frozenset(_STOP_TEXT.split())


def terms(text: str) -> list[str]:
    """Return the index terms of `text` in order, with repeats."""
    return list(_terms(text))


def query_terms(text: str, *, limit: int = 32) -> list[str]:
    """Return the distinct terms of a query in order. A query of stop words only keeps them."""
    found = list(dict.fromkeys(_terms(text))) or list(dict.fromkeys(_terms(text, keep_stop_words=True)))
    return found[:limit]


def tsvector_literal(weighted: str, body: str) -> tuple[str, int]:
    """Return the tsvector text of a passage and its number of terms.

    `weighted` (the headings) comes first; positions are counted over both, so that a reader of the column can get back
    how often a term occurs.
    """
    positions: dict[str, list[int]] = {}
    count = 0
    for term in (*_terms(weighted), *_terms(body)):
        count += 1
        places = positions.setdefault(term, [])
        if count <= _MAX_POSITION and len(places) < 255:
            places.append(count)
    literal = " ".join(
        f"'{term}':{','.join(map(str, places))}" if places else f"'{term}'" for term, places in positions.items()
    )
    return literal, count


def tsquery_literal(words: list[str]) -> str:
    """Return a tsquery text that matches a passage with any of the terms."""
    return " | ".join(f"'{word}'" for word in words)


def _terms(text: str, *, keep_stop_words: bool = False) -> Iterator[str]:
    folded = _ENDING.sub("", unicodedata.normalize("NFKC", text)).lower()
    for match in _RUN.finditer(folded):
        run = match[0]
        words = _segment(run) if _CJK_START.match(run) else [run]
        for word in words:
            if not keep_stop_words and word in STOP_WORDS:
                continue
            if word.isascii() and word.isalpha():
                word = _stem(word)
            yield word[:MAX_TERM_CHARS]


_stem_lock = Lock()
_stemmer = snowballstemmer.stemmer("english")


@lru_cache(maxsize=50_000)
def _stem(word: str) -> str:
    with _stem_lock:  # the stemmer keeps its state in itself
        return str(_stemmer.stemWord(word))


def _segment(run: str) -> list[str]:
    return [word for word in segmenter().cut_for_search(run, HMM=False) if word.strip()]
