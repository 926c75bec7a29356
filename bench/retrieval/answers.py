"""What visitors would read: answers of the real chat model on questions.jsonl, sentence by sentence with the verdicts.

    python -m bench.retrieval.answers [--count 40] [--data-dir .data] [--output FILE]

No server and no database: the product's extraction, search scoring, prompt, engine, check and quotation run in this
process, as apps/assistant/services/answering.py puts them together. Every released sentence is meant to be read.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import bench.retrieval.ready  # noqa: F401  isort: skip  (before anything of Django)
from apps.inference.catalogue import catalogue_load
from apps.inference.engine.host import EngineHost
from apps.inference.engine.types import ChatMessage, EngineConfig, GenerateRequest
from apps.nlp.services.grounding.check import GroundingContext, PassageText
from apps.nlp.services.grounding.quoting import quote_answer
from apps.nlp.services.grounding.text import SentenceBuffer
from bench.retrieval.corpus import developers_reference
from bench.retrieval.evaluate import Hit, Index, Question, questions


def answer(
    host: EngineHost, question: Question, found: list[Hit], build: Callable[..., Any], shown: int
) -> dict[str, Any]:
    """Return what the model wrote, what was released of it with its reasons, and the quotation that stands in."""

    def embed(texts: Any) -> np.ndarray:
        return host.embed(list(texts), deadline_s=30).vectors

    prompted = found[:shown]
    passages = [PassageText(h.text, " › ".join(filter(None, (h.title, h.heading)))) for h in found[:5]]
    context = GroundingContext(passages[:shown], embed, question=question.text)
    messages = tuple(ChatMessage(m.role, m.content) for m in build(question.text, prompted, ()))
    buffer, sentences = SentenceBuffer(), []
    generation = host.generate(GenerateRequest(messages=messages, max_tokens=120), deadline_s=60)
    for piece in generation:
        sentences += buffer.feed(piece.text)
    sentences += buffer.flush()
    checks, released, spent, previous, open_ = [], [], [], None, True
    for sentence in sentences:
        start = time.perf_counter()
        previous = context.check(sentence.text, previous)
        spent.append(time.perf_counter() - start)
        checks.append([sentence.text, previous.supported, previous.reason, previous.passage])
        open_ = open_ and (previous.supported or previous.filler)
        if not open_:
            break  # as in the product: the first sentence that fails ends the generation
        if previous.supported:
            released.append(sentence.text)
    quote = None if released else quote_answer(question.text, passages, embed)
    return {
        "id": question.id,
        "question": question.text,
        "released": released,
        "quote": quote.text if quote else "",
        "checks": checks,
        "check_ms": [round(s * 1000, 1) for s in spent],
        "right_section": bool(question.places & {(h.source, h.anchor) for h in prompted}),
    }


def product_prompt(style: str) -> tuple[Callable[..., Any], int]:
    """Return the function that builds the product's prompt, and how many passages it shows.

    It is taken from its file, since its package wants a database.
    """
    path = Path(__file__).resolve().parents[2] / "apps" / "assistant" / "services" / "prompt.py"
    spec = importlib.util.spec_from_file_location("bench_prompt", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if style == "copy":
        return lambda question, passages, history: module.copy_prompt(question, passages), 1
    return module.answer_prompt, 3


def main() -> None:
    """Run the model on the first answerable questions and print what was released."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--data-dir", type=Path, help="where prepared weights are kept; default: a temporary folder")
    parser.add_argument("--output", type=Path, help="file for everything, as JSON lines")
    options = parser.parse_args()
    index = Index(developers_reference())
    catalogue = catalogue_load()
    build, shown = product_prompt(catalogue.default("chat").prompt_style)
    with tempfile.TemporaryDirectory() as temporary:
        config = EngineConfig(data_dir=options.data_dir or Path(temporary))
        host = EngineHost(catalogue.default("chat"), catalogue.default("embedding"), config)
        host.load()
        try:
            asked = [q for q in questions() if q.places][: options.count]
            results = [answer(host, q, index.search(q.text), build, shown) for q in asked]
        finally:
            host.stop()
    for r in results:
        print(f"\n{r['id']} {r['question']}")
        print(
            "  RELEASED " + " ".join(r["released"])
            if r["released"]
            else "  QUOTED   " + r["quote"].replace("\n", "\n           ")
        )
    reasons = Counter(c[2].split(":")[0] for r in results for c in r["checks"])
    spent = [ms for r in results for ms in r["check_ms"]]
    print(
        f"\n{sum(bool(r['released']) for r in results)} of {len(results)} in the model's words; verdicts {dict(reasons)}"
    )
    print(f"check: median {np.median(spent):.1f} ms, p95 {np.percentile(spent, 95):.1f} ms, {len(spent)} sentences")
    if options.output:
        options.output.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in results), encoding="utf-8")


if __name__ == "__main__":
    main()
