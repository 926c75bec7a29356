"""What a batch's texts are about: clusters of a sample, with names, and a quick way to tell them apart.

A sample of up to 2,000 texts is embedded and clustered (k-means on unit vectors). Embedding a million texts would take
hours, so the clusters are taught to a linear model over words, which gives every row its topic in microseconds. Names
are the words that stand out in a cluster (class-based TF-IDF, Grootendorst 2022).
"""

from __future__ import annotations

import io
import math
import re
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from sklearn.cluster import KMeans
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS, HashingVectorizer
from sklearn.linear_model import LogisticRegression

from apps.core.chinese import segmenter
from apps.inference.services import embed_texts

MIN_TEXTS = 40
MAX_TOPICS = 12
NAME_WORDS = 3
_FEATURES = 2**15
_EMBED_AT_ONCE = 64
_MAX_CHARS = 2_000
_CJK = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
_RUN = re.compile(rf"[{_CJK}]+|[^\W\d_{_CJK}]{{3,}}")
_CJK_START = re.compile(rf"[{_CJK}]")
_STOP_TEXT = """
just don didn doesn isn wasn won really got get also would one like
der die das und ist nicht ein eine einen mit für auf den dem des sich sehr war wurde haben hat kam von zu auch noch
que para com não uma por mais como mas dos das ele ela isso está foi muito sem pelo pela
一个 没有 我们 你们 他们 这个 那个 什么 可以 就是 还是 因为 所以 但是 非常
"""
_STOP = ENGLISH_STOP_WORDS | frozenset(_STOP_TEXT.split())


@dataclass(frozen=True, slots=True)
class TopicModel:
    """Names of topics and a linear model over words. `coefficients` (topics, features), `intercepts` (topics,)."""

    names: tuple[str, ...]
    coefficients: np.ndarray
    intercepts: np.ndarray

    def assign(self, texts: Sequence[str]) -> list[int]:
        """Return the topic's number of each text; -1 for a text without a word."""
        features = _vectorizer().transform([text[:_MAX_CHARS] for text in texts])
        scores = features @ self.coefficients.T + self.intercepts
        worded = np.diff(features.indptr) > 0
        return [int(best) if has else -1 for best, has in zip(scores.argmax(axis=1), worded, strict=True)]

    def content(self) -> io.BytesIO:
        """Return the model as a file (npz, no pickle)."""
        out = io.BytesIO()
        np.savez_compressed(
            out,
            names=np.array(self.names),
            coefficients=self.coefficients.astype(np.float32),
            intercepts=self.intercepts.astype(np.float32),
        )
        out.seek(0)
        return out


def topics_load(path: Path) -> TopicModel:
    """Return the model that `TopicModel.content` made."""
    with np.load(path, allow_pickle=False) as kept:
        return TopicModel(tuple(map(str, kept["names"])), kept["coefficients"], kept["intercepts"])


def topics_find(texts: Sequence[str], *, tenant_id: uuid.UUID, check: Callable[[], None]) -> TopicModel | None:
    """Return the topics of the texts, or None when there are too few for topics. `check` may raise to stop.

    Raises what `embed_texts` raises.
    """
    # The words model is made of them, so a text without a word has no say.
    worded = [text for text in dict.fromkeys(texts) if words_of(text)]
    if len(worded) < MIN_TEXTS:
        return None
    parts = []
    for at in range(0, len(worded), _EMBED_AT_ONCE):
        check()
        part = worded[at : at + _EMBED_AT_ONCE]
        parts.append(embed_texts(part, tenant_id=tenant_id, deadline_s=120.0, priority="batch").vectors)
    count = min(MAX_TOPICS, max(2, round(math.sqrt(len(worded) / 10))))
    check()
    clusters = KMeans(count, n_init=4, random_state=0).fit_predict(np.vstack(parts))
    check()
    # Large ones first, so that the numbers are an order.
    order = [number for number, _ in Counter(map(int, clusters)).most_common()]
    labels = np.array([order.index(int(number)) for number in clusters])
    if len(order) < 2:
        return None
    model = LogisticRegression(C=10.0, max_iter=300).fit(_vectorizer().transform(worded), labels)
    weights, biases = model.coef_, model.intercept_
    if len(order) == 2:  # one line of weights stands for both there
        weights, biases = np.vstack([-weights, weights]), np.concatenate([-biases, biases])
    return TopicModel(_names(worded, labels, len(order)), weights.astype(np.float32), biases.astype(np.float32))


def words_of(text: str) -> list[str]:
    """Return the words that say what a text is about: lower case, Chinese segmented, stop words left out."""
    found: list[str] = []
    for run in _RUN.findall(text[:_MAX_CHARS].lower()):
        found += [word for word in segmenter().cut(run) if len(word) > 1] if _CJK_START.match(run) else [run]
    return [word for word in found if word not in _STOP]


@cache
def _vectorizer() -> HashingVectorizer:
    return HashingVectorizer(n_features=_FEATURES, analyzer=words_of, alternate_sign=False, norm="l2", dtype=np.float32)


def _names(texts: Sequence[str], labels: np.ndarray, count: int) -> tuple[str, ...]:
    """Return a name for each cluster: its three most telling words, no word in two names."""
    inside = [Counter[str]() for _ in range(count)]
    for text, label in zip(texts, labels, strict=True):
        inside[int(label)].update(set(words_of(text)))
    everywhere = sum(inside, Counter[str]())
    mean = sum(everywhere.values()) / count
    names: list[str] = []
    taken: set[str] = set()
    for words in inside:
        size = sum(words.values()) or 1
        ranked = sorted(words, key=lambda word: (-words[word] / size * math.log(1 + mean / everywhere[word]), word))
        chosen = [word for word in ranked if word not in taken][:NAME_WORDS]
        taken.update(chosen)
        names.append(" · ".join(chosen)[:100] or f"#{len(names) + 1}")
    return tuple(names)
