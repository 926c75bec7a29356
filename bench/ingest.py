"""Documents to searchable passages through the API, beside plain sentence-transformers on the same passages.

    python -m bench --suite ingest

Ours reads, cuts, embeds and stores nine chapters; the peer only embeds their passages, in batches of 32.
"""

from __future__ import annotations

import time
from pathlib import Path

from bench import materials
from bench.chat import Field
from bench.machine import MACHINE, encoder_rate, limits, machine_cases, machine_measure
from bench.measure import ROUNDS, Measure, measure_all
from bench.players import Absent, lineup
from bench.product import product
from bench.results import OURS, Case, Samples, table
from bench.retrieval.corpus import CHAPTERS, DEVELOPERS_REFERENCE, developers_reference
from tests.stack import Stack

WAIT_S = 300
PEER = "sentence-transformers float32"


def through_the_api(stack: Stack) -> tuple[float, int]:
    """Upload the chapters as one source; return the seconds until it is ready, and its passages.

    The source is deleted afterwards: passages that an organisation has are not embedded again.
    """
    with stack.client(timeout=WAIT_S) as client:
        files = [
            ("file", (f"{name}.html", (DEVELOPERS_REFERENCE / f"{name}.html").read_bytes(), "text/html"))
            for name in CHAPTERS
        ]
        began = time.monotonic()
        source = client.post("/api/v1/knowledge/sources", files=files).raise_for_status().json()["id"]
        while (state := client.get(f"/api/v1/knowledge/sources/{source}").json())["status"] not in ("ready", "failed"):
            if time.monotonic() - began > WAIT_S:
                break
            time.sleep(0.05)
        seconds = time.monotonic() - began
        if state["status"] != "ready":
            raise RuntimeError(f"the chapters are not ready: {state}")
        client.delete(f"/api/v1/knowledge/sources/{source}").raise_for_status()
        return seconds, int(state["chunks"])


def run(rounds: int = ROUNDS) -> dict[str, Case]:
    """Start a product of its own, measure, stop it; return the cases. Raises Absent without the documents."""
    if not Path(DEVELOPERS_REFERENCE).exists():
        raise Absent("the documents are missing: install the system's package developers-reference")
    field = Field([MACHINE], {})
    field.add(PEER, "sentence_encode", materials.embedding_folder, dtype="float32")
    field.add("sentence-transformers bfloat16", "sentence_encode", materials.embedding_folder, dtype="bfloat16")
    texts = [passage.embed_text for passage in developers_reference()]
    taken, rate = f"{len(texts)} passages", "rate"
    with product() as stack, lineup(field.players, missing=field.missing) as found:

        def measured(player: str, _round: int) -> dict[str, float]:
            if player == OURS:
                seconds, passages = through_the_api(stack)
            else:
                seconds, passages = found.call(player, "embed", texts=texts, at_once=32)["seconds"], len(texts)
            return {taken: seconds, rate: passages / seconds}

        def warm(player: str) -> None:
            if player != OURS:
                found.call(player, "embed", texts=texts[:32], at_once=32)

        everyone = [OURS, *(player.name for player in field.players[1:])]
        measures = [machine_measure(found), Measure(taken, everyone, measured, warm)]
        samples: Samples = measure_all("ingest", found, measures, rounds)
        best = None
        if PEER in found.names():
            lengths = found.call(PEER, "lengths", texts=texts)
            best = encoder_rate(materials.embedding_folder(), lengths, limits(samples))
        return {
            taken: samples.case(
                taken, "s", higher=False, limit=len(texts) / best if best else None, missing=found.missing
            ),
            rate: samples.case(rate, "passages/s", higher=True, limit=best, missing=found.missing),
        } | machine_cases(samples)


if __name__ == "__main__":
    print(table({"ingest": run()}))
