"""What texts that make a reader slow cost others: `python -m bench.pathological [--callers 4] [--seconds 10]`.

For each model that reads texts: an organisation asks one line at a time, alone and then beside callers of another
organisation that send the texts of tests/pathological.py, as long as the API admits. Printed: p50 and p95 of the one
line, how many were asked and refused, and how much slower p95 is beside the others.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from apps.inference.catalogue import catalogue_load
from apps.inference.engine.errors import EngineError
from apps.inference.engine.host import EngineHost
from apps.inference.engine.types import EngineConfig, Role, TranslateItem
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


def asked(host: EngineHost, model: str, role: Role, item: Any, seconds: float) -> tuple[list[float], int]:
    """Ask for one item again and again; return the times of the answers in seconds, and how many were refused."""
    times, refused, until = [], 0, time.monotonic() + seconds
    while time.monotonic() < until:
        began = time.monotonic()
        try:
            host.run(role, [item], model=model, deadline_s=DEADLINE_S, priority="api", tenant="b")
        except EngineError:
            refused += 1
        else:
            times.append(time.monotonic() - began)
        time.sleep(0.02)
    return sorted(times), refused


def hostile(
    host: EngineHost, model: str, role: Role, wrap: Any, callers: int, over: threading.Event
) -> list[threading.Thread]:
    """Start callers of another organisation, each with one text after the other."""
    names = itertools.cycle(PATHOLOGICAL)
    lock = threading.Lock()

    def call() -> None:
        while not over.is_set():
            with lock:
                text = pathological(next(names), LONGEST)
            try:
                host.run(role, [wrap(text)], model=model, deadline_s=DEADLINE_S, priority="api", tenant="a")
            except EngineError:
                time.sleep(0.01)

    threads = [threading.Thread(target=call, daemon=True) for _ in range(callers)]
    for thread in threads:
        thread.start()
    return threads


def at(times: list[float], share: float) -> float:
    """Return a quantile of sorted times in milliseconds."""
    return 1000 * times[min(len(times) - 1, int(share * len(times)))] if times else float("nan")


def main() -> None:
    """Print a row for each model."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--callers", type=int, default=4)
    options.add_argument("--seconds", type=float, default=10)
    options.add_argument("--models", default="", help="names, separated by commas")
    chosen = options.parse_args()
    wanted = set(chosen.models.split(",")) - {""}
    known = catalogue_load()
    print(
        f"{'model':<18}{'alone p50':>10}{'p95':>8}{'beside p50':>12}{'p95':>8}{'asked':>7}{'refused':>9}{'p95 ratio':>11}"
    )
    with tempfile.TemporaryDirectory() as folder:
        host = EngineHost(known.models, known.defaults, EngineConfig(Path(folder)))
        for model, role, wrap in MODELS:
            if wanted and model not in wanted:
                continue
            print(f"  loading {model} ...", end="\r", file=sys.stderr)
            host.run(role, [wrap(LINE)], model=model, deadline_s=300, priority="api", tenant="b")
            alone, _ = asked(host, model, role, wrap(LINE), chosen.seconds)
            over = threading.Event()
            threads = hostile(host, model, role, wrap, chosen.callers, over)
            time.sleep(1)
            beside, refused = asked(host, model, role, wrap(LINE), 3 * chosen.seconds)
            over.set()
            for thread in threads:
                thread.join(2 * DEADLINE_S)
            print(
                f"{model:<18}{at(alone, 0.5):>7.0f} ms{at(alone, 0.95):>5.0f} ms{at(beside, 0.5):>9.0f} ms"
                f"{at(beside, 0.95):>5.0f} ms{len(beside) + refused:>7}{refused:>9}"
                f"{at(beside, 0.95) / at(alone, 0.95):>10.1f}x",
                flush=True,
            )
        host.stop()


if __name__ == "__main__":
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nlpsuite.settings.base")
    django.setup()
    main()
