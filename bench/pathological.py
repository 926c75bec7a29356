"""What texts that make a reader slow cost others: `python -m bench.pathological [--callers 4] [--seconds 10] [--http]`.

For each model that reads texts, or with `--http` for each task of the running product: an organisation asks one line at a
time, alone and then beside callers of another organisation that send the texts of tests/pathological.py, as long as
the API admits. Printed: p50 and p95 of the one line, how many were asked and refused, and how much slower p95 is beside
the others.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from apps.inference.catalogue import catalogue_load
from apps.inference.engine.errors import EngineError
from apps.inference.engine.host import EngineHost
from apps.inference.engine.types import EngineConfig, Role, TranslateItem
from bench.product import product
from tests.pathological import PATHOLOGICAL, pathological

LINE = "Please call Jane Miller on +1 555 010 4477 about order 4411 in Porto."
# What /api/v1/nlp takes in one text.
LONGEST = 200_000
DEADLINE_S = 15.0
# Model, role, and what stands around a text.
MODELS: tuple[tuple[str, Role, Any], ...] = (
    ("presidio-pii", "tagger", lambda text: (text, "")),
    ("en-core-web-sm", "tagger", lambda text: text),
    ("all-minilm-l6-v2", "embedding", lambda text: text),
    ("minilm-sentiment", "classifier", lambda text: text),
    ("bergamot-en-pt", "translator", lambda text: TranslateItem(text, "en", "pt")),
)


# Task, options, and how long its texts may be.
TASKS: tuple[tuple[str, dict[str, Any], int], ...] = (
    ("language", {}, LONGEST),
    ("sentiment", {}, LONGEST),
    ("classify", {"labels": ["order", "invoice"]}, LONGEST),
    ("entities", {}, LONGEST),
    ("redact", {}, LONGEST),
    ("moderate", {}, LONGEST),
    ("keywords", {}, LONGEST),
    ("summarize", {}, LONGEST),
    ("answer", {"question": "What is the number of the order?"}, LONGEST),
    ("translate", {"source": "en", "target": "pt"}, LONGEST),
)
# Asks one text, and says whether it was refused.
Ask = Callable[[str], bool]


def asked(ask: Ask, seconds: float) -> tuple[list[float], int]:
    """Ask for one line again and again; return the times of the answers in seconds, and how many were refused."""
    times, refused, until = [], 0, time.monotonic() + seconds
    while time.monotonic() < until:
        began = time.monotonic()
        if ask(LINE):
            times.append(time.monotonic() - began)
        else:
            refused += 1
        time.sleep(0.02)
    return sorted(times), refused


def hostile(ask: Ask, callers: int, longest: int, over: threading.Event) -> list[threading.Thread]:
    """Start callers, each with one text after the other."""
    texts = itertools.cycle([pathological(name, longest) for name in PATHOLOGICAL])
    lock = threading.Lock()

    def call() -> None:
        while not over.is_set():
            with lock:
                text = next(texts)
            if not ask(text):
                time.sleep(0.01)

    threads = [threading.Thread(target=call, daemon=True) for _ in range(callers)]
    for thread in threads:
        thread.start()
    return threads


def compare(name: str, ours: Ask, theirs: Ask, longest: int, chosen: argparse.Namespace) -> None:
    """Print a row: `ours` alone, and beside `theirs`."""
    alone, _ = asked(ours, chosen.seconds)
    over = threading.Event()
    threads = hostile(theirs, chosen.callers, longest, over)
    time.sleep(1)
    beside, refused = asked(ours, 3 * chosen.seconds)
    over.set()
    for thread in threads:
        thread.join(2 * DEADLINE_S)
    print(
        f"{name:<18}{at(alone, 0.5):>7.0f} ms{at(alone, 0.95):>5.0f} ms{at(beside, 0.5):>9.0f} ms"
        f"{at(beside, 0.95):>5.0f} ms{len(beside) + refused:>7}{refused:>9}"
        f"{at(beside, 0.95) / at(alone, 0.95):>10.1f}x",
        flush=True,
    )


def at(times: list[float], share: float) -> float:
    """Return a quantile of sorted times in milliseconds."""
    return 1000 * times[min(len(times) - 1, int(share * len(times)))] if times else float("nan")


def by_engine(chosen: argparse.Namespace) -> None:
    """Compare each model, without the product around it."""
    known, wanted = catalogue_load(), set(chosen.only.split(",")) - {""}
    with tempfile.TemporaryDirectory() as folder:
        host = EngineHost(known.models, known.defaults, EngineConfig(Path(folder)))

        def ask(model: str, role: Role, wrap: Any, tenant: str) -> Ask:
            def one(text: str) -> bool:
                try:
                    host.run(role, [wrap(text)], model=model, deadline_s=DEADLINE_S, priority="api", tenant=tenant)
                except EngineError:
                    return False
                return True

            return one

        for model, role, wrap in MODELS:
            if wanted and model not in wanted:
                continue
            print(f"  loading {model} ...", end="\r", file=sys.stderr)
            host.run(role, [wrap(LINE)], model=model, deadline_s=300, priority="api", tenant="b")
            compare(model, ask(model, role, wrap, "b"), ask(model, role, wrap, "a"), LONGEST, chosen)
        host.stop()


def by_http(chosen: argparse.Namespace) -> None:
    """Compare each task over HTTP."""
    wanted = set(chosen.only.split(",")) - {""}
    with product() as stack, stack.client(other=True) as ours, stack.client() as theirs:
        for task, options, longest in TASKS:
            if wanted and task not in wanted:
                continue

            def ask(client: httpx.Client, task: str = task, options: dict[str, Any] = options) -> Ask:
                def one(text: str) -> bool:
                    found = client.post(f"/api/v1/nlp/{task}", json={"text": text, **options})
                    if found.status_code != 200 and chosen.verbose:
                        print(task, len(text), repr(text[:8]), found.status_code, found.text[:200], file=sys.stderr)
                    return found.status_code == 200

                return one

            # The first call of a task may load what it needs.
            for _ in range(3):
                ask(ours)(LINE)
            compare(task, ask(ours), ask(theirs), longest, chosen)


def main() -> None:
    """Print a row for each model or task."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--callers", type=int, default=4)
    options.add_argument("--seconds", type=float, default=10)
    options.add_argument("--http", action="store_true", help="ask the running product, task by task")
    options.add_argument("--only", default="", help="names of models or tasks, separated by commas")
    options.add_argument("--verbose", action="store_true", help="print what is refused")
    chosen = options.parse_args()
    print(f"{'':<18}{'alone p50':>10}{'p95':>8}{'beside p50':>12}{'p95':>8}{'asked':>7}{'refused':>9}{'p95 ratio':>11}")
    by_http(chosen) if chosen.http else by_engine(chosen)


if __name__ == "__main__":
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nlpsuite.settings.base")
    django.setup()
    main()
