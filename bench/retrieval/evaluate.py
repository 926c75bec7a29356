"""Retrieval and decisions on questions.jsonl: recall@5 beside BM25 alone and vectors alone, and right decisions.

    python -m bench.retrieval.evaluate [--split tune|test|all] [--misses]
    python -m bench.retrieval.evaluate --base-url http://127.0.0.1:8000 --api-key KEY [--answers FILE]

Without a base URL the product's own extraction, chunking, encoder and scoring run in this process, without a
database. With one, Debian's developers-reference is uploaded over the API into the collection `developers-reference`
(unless it is there) and the search and answer routes are asked; `--answers` keeps what was answered, to be read.
A question counts as found when one of the first five passages is of the expected source and one of its anchors.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from apps.knowledge.lexis import query_terms, terms
from apps.knowledge.ranking import DEFAULT_RANK_RULES, Candidate, RankRules, corpus_stats, rank
from bench.retrieval.corpus import CHAPTERS, DEVELOPERS_REFERENCE, CorpusPassage, developers_reference, embed

if TYPE_CHECKING:
    from apps.assistant.condense import Query

QUESTIONS = Path(__file__).with_name("questions.jsonl")
COLLECTION = "developers-reference"


@dataclass(frozen=True)
class Question:
    """A question, where its answer stands (`places`: source and anchor; none when there is no answer)."""

    id: str
    kind: str
    split: str
    text: str
    places: frozenset[tuple[str, str]]


@dataclass(frozen=True)
class Hit:
    """A passage found for a question, with the scores that the search gives out."""

    source: str
    anchor: str
    heading: str
    title: str
    text: str
    score: float
    cosine: float
    lexical: float


def questions(split: str = "all", path: Path = QUESTIONS) -> list[Question]:
    """Return the questions of a split."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [
        Question(
            row["id"],
            row["kind"],
            row["split"],
            row["question"],
            frozenset((row["source"], a) for a in row["anchors"]) | {(s, a) for s, a in row.get("also", [])},
        )
        for row in rows
        if split in ("all", row["split"])
    ]


class Index:
    """Passages with their vectors and term counts, searched in memory with the product's scoring."""

    def __init__(self, passages: Sequence[CorpusPassage]) -> None:
        self.passages = list(passages)
        self.vectors = embed([p.embed_text for p in self.passages])
        words = [terms(f"{p.heading} {p.text}") for p in self.passages]
        self._counts = [Counter(w) for w in words]
        self._lengths = [len(w) for w in words]
        self._stats = corpus_stats(list(zip(self._counts, self._lengths, strict=True)))
        self._words = words

    def search(self, query: str, k: int = 8, rules: RankRules = DEFAULT_RANK_RULES) -> list[Hit]:
        """Return the best passages as the product ranks them."""
        cosines = self.vectors @ embed([query])[0]
        candidates = [
            Candidate(i, float(cosines[i]), self._counts[i], self._lengths[i], p.section, p.text)
            for i, p in enumerate(self.passages)
        ]
        return [self._hit(r.key, r.score, r.cosine, r.lexical)
                for r in rank(candidates, query_terms(query), self._stats, rules, k=k)]  # fmt: skip

    def search_by(self, query: Query, k: int) -> list[Hit]:
        """Return the best passages for a query of `condense_query`, as `find` asks for them."""
        return self.search(query.text, k)

    def by_vectors(self, query: str, k: int = 5) -> list[Hit]:
        """Return the nearest passages by cosine alone."""
        cosines = self.vectors @ embed([query])[0]
        return [self._hit(int(i), float(cosines[i]), float(cosines[i]), 0.0) for i in np.argsort(-cosines)[:k]]

    def by_words(self, query: str, k: int = 5) -> list[Hit]:
        """Return the best passages by BM25 alone (rank-bm25's Okapi with its defaults, the same terms)."""
        from rank_bm25 import BM25Okapi

        if not hasattr(self, "_bm25"):
            self._bm25 = BM25Okapi(self._words)
        scores = self._bm25.get_scores(query_terms(query))
        return [self._hit(int(i), float(scores[i]), 0.0, float(scores[i])) for i in np.argsort(-scores)[:k]]

    def _hit(self, index: Any, score: float, cosine: float, lexical: float) -> Hit:
        p = self.passages[index]
        return Hit(p.source, p.anchor, p.heading, p.title, p.text, score, cosine, lexical)


def recall(search: Callable[[str], Sequence[Hit]], asked: Sequence[Question], k: int = 5) -> list[Question]:
    """Return the answerable questions whose section is not among the first `k` passages."""
    return [
        q for q in asked if q.places and not q.places & {(h.source, h.anchor) for h in search(q.text)[:k]}
    ]  # fmt: skip


def offline(split: str, misses: bool) -> None:
    """Print recall of the three rankings and the decisions, without a server."""
    import bench.retrieval.ready  # noqa: F401  isort: skip
    from apps.assistant.decision import Thresholds, decide

    index = Index(developers_reference())
    asked = questions(split)
    answerable = [q for q in asked if q.places]
    print(f"{len(index.passages)} passages; {len(answerable)} answerable, {len(asked) - len(answerable)} not ({split})")
    for name, search in (("ours", index.search), ("BM25 alone", index.by_words), ("vectors alone", index.by_vectors)):
        lost = recall(search, asked)
        print(f"{name:14} recall@5 {1 - len(lost) / len(answerable):.3f}  missed {[q.id for q in lost]}")
        if misses and name == "ours":
            for question in lost:
                print(" ", question.id, question.text, [(h.source, h.anchor) for h in index.search(question.text)[:5]])
    decisions = {q.id: decide(q.text, index.search(q.text), Thresholds.default()) for q in asked}
    report(
        {q.id: (d.kind if d else "", d.reason if d else "") for q, d in zip(asked, decisions.values(), strict=True)},
        asked,
    )


def report(decided: dict[str, tuple[str, str]], asked: Sequence[Question]) -> None:
    """Print the share of right decisions by kind of question, and the wrong ones."""
    for kind in ("answerable", "off_topic", "near_topic"):
        group = [q for q in asked if q.kind == kind]
        wrong = [q for q in group if (decided[q.id][0] == "answer") != (kind == "answerable")]
        print(f"{kind:11} right {len(group) - len(wrong)} of {len(group)}")
        for question in wrong:
            print(f"   {question.id} {decided[question.id]} {question.text}")


def online(base_url: str, api_key: str, split: str, answers: Path | None) -> None:
    """Upload the document over the API, then ask the search and answer routes."""
    import httpx

    client = httpx.Client(base_url=base_url, headers={"Authorization": f"Bearer {api_key}"}, timeout=120)
    _upload(client)
    asked = questions(split)

    def search(query: str) -> list[Hit]:
        reply = client.get("/api/v1/knowledge/search", params={"q": query, "k": 5, "collection": COLLECTION})
        reply.raise_for_status()
        found = reply.json()
        rows = found.get("items", found.get("results", [])) if isinstance(found, dict) else found
        return [
            Hit(r["source"], r.get("anchor") or "", r.get("heading", ""), r.get("document", ""), r.get("text", ""),
                r.get("score", 0.0), 0.0, 0.0) for r in rows
        ]  # fmt: skip

    answerable = [q for q in asked if q.places]
    lost = recall(search, asked)
    print(f"search route recall@5 {1 - len(lost) / len(answerable):.3f}  missed {[q.id for q in lost]}")
    decided, kept, spent = {}, [], []
    for question in asked:
        start = time.perf_counter()
        reply = client.post("/api/v1/assistant/answer", json={"question": question.text, "collection": COLLECTION})
        reply.raise_for_status()
        spent.append(time.perf_counter() - start)
        body = reply.json()
        decided[question.id] = (body["decision"], body.get("reason", ""))
        kept.append({"id": question.id, "question": question.text, **body})
    report(decided, asked)
    print(f"answer route: median {np.median(spent):.2f} s, p95 {np.percentile(spent, 95):.2f} s")
    if answers:
        answers.write_text("".join(json.dumps(k, ensure_ascii=False) + "\n" for k in kept), encoding="utf-8")


def _upload(client: Any) -> None:
    """Post the chapters that are not there yet and wait until all are ready."""
    have = _sources(client)
    for chapter in CHAPTERS:
        name = f"{chapter}.html"
        if name in have:
            continue
        data = (DEVELOPERS_REFERENCE / name).read_bytes()
        reply = client.post(
            "/api/v1/knowledge/sources", files={"file": (name, data, "text/html")}, data={"collection": COLLECTION}
        )
        reply.raise_for_status()
    start = time.perf_counter()
    while time.perf_counter() - start < 600:
        statuses = {
            name: status for name, status in _sources(client).items() if re.sub(r"\.html$", "", name) in CHAPTERS
        }
        if len(statuses) == len(CHAPTERS) and set(statuses.values()) == {"ready"}:
            return
        time.sleep(1)
    raise SystemExit(f"not ready after 600 s: {statuses}")


def _sources(client: Any) -> dict[str, str]:
    found: dict[str, str] = {}
    cursor = None
    while True:
        reply = client.get("/api/v1/knowledge/sources", params={"limit": 100, **({"cursor": cursor} if cursor else {})})
        reply.raise_for_status()
        page = reply.json()
        found |= {s["name"]: s["status"] for s in page["items"] if s.get("collection") == COLLECTION}
        cursor = page.get("next_cursor")
        if not cursor:
            return found


def main() -> None:
    """Run the evaluation that the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--split", default="all", choices=["tune", "test", "all"])
    parser.add_argument("--misses", action="store_true", help="print what was found instead")
    parser.add_argument("--base-url", default="")
    parser.add_argument("--api-key", default="")
    parser.add_argument("--answers", type=Path, help="file to keep the answers in (JSON lines)")
    options = parser.parse_args()
    if options.base_url:
        online(options.base_url, options.api_key, options.split, options.answers)
    else:
        offline(options.split, options.misses)


if __name__ == "__main__":
    main()
