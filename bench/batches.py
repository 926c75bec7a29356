"""Batches on a running installation: cost growth and memory, the board of a million rows, and what live chat feels.

    python -m bench.batches growth --data .data --task language --rows 1000,10000,100000
    python -m bench.batches board --data .data --rows 1000000
    python -m bench.batches chat --data .data --task sentiment

`growth` sends files of generated reviews and watches the resident memory of the processes that touch them. `board` writes
finished rows straight into the database, and the cells that the product would have counted, and times what the page of
a batch asks for: the summary and the first texts together, without and with filters. `chat` asks the chat model for a
streamed answer again and again, half of the time while a batch runs, in turns, and compares the times to the first token.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psutil
import psycopg

from nlpsuite.settings.env import runtime_dir
from nlpsuite.supervisor.postgres import DATABASE, SUPERUSER

TEMPLATES = (
    "The parcel arrived {n} days late and the courier never called.",
    "Delivery was quick, the package came well wrapped after {n} days.",
    "I was charged twice for invoice {n}, please refund the payment.",
    "I cannot sign in, the password reset link fails with error {n}.",
    "Wonderful chair, very comfortable even after {n} hours of work.",
    "Die Lieferung kam {n} Tage zu spät und der Karton war beschädigt.",
)
SOURCES = ("web", "app", "north", "south", "phone", "partner")
# Short turns, so that whatever else the machine does meets both.
CHATS_A_TURN = 4
ENDED = {"done", "failed", "cancelled"}
FILTERS = (
    "",
    "label=positive",
    "label=~error",
    "source=partner",
    "topic=topic 7",
    "since=2026-02-01&until=2026-02-08",
    "label=negative&source=web",
    "label=neutral&source=partner&topic=topic 3",
    "label=~error&source=partner&topic=topic 7&since=2026-02-01&until=2026-02-02",
)


class Installation:
    """A running product, by its data folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.demo = json.loads((folder / "demo.json").read_text())
        headers = {"Authorization": f"Bearer {self.demo['api_key']}"}
        self.client = httpx.Client(base_url=self.demo["base_url"], headers=headers, timeout=120)

    def resident_mb(self, role: str) -> float:
        """Resident memory of a role's process and its children."""
        first = psutil.Process(json.loads((self.folder / "run.json").read_text())[role][0])
        return sum(process.memory_info().rss for process in [first, *first.children(recursive=True)]) / 1e6

    def start(self, path: Path, task: str, *, options: str = "{}", topics: bool = True) -> str:
        """Start a batch of a CSV file with the task's options, a JSON object; returns its id."""
        form = {"task": task, "column": "text", "source_column": "source", "time_column": "time", "id_column": "id"}
        form["options"] = options
        with path.open("rb") as file:
            made = self.client.post(
                "/api/v1/jobs", data=form | {"topics": str(topics).lower()}, files={"file": (path.name, file)}
            )
        made.raise_for_status()
        return str(made.json()["id"])

    def get(self, batch_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.client.get(f"/api/v1/jobs/{batch_id}").raise_for_status().json()
        return found

    def database(self) -> psycopg.Connection[Any]:
        secret = json.loads((self.folder / "secrets.json").read_text())["pg_superuser"]
        return psycopg.connect(
            host=str(runtime_dir(self.folder) / "pg"), port=5432, dbname=DATABASE, user=SUPERUSER, password=secret
        )


def reviews(path: Path, rows: int) -> Path:
    """Write a CSV file of generated reviews."""
    dice = random.Random(rows)
    with path.open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow(["id", "time", "source", "text"])
        for number in range(rows):
            text = dice.choice(TEMPLATES).format(n=dice.randrange(100_000))
            out.writerow(
                [number, f"2026-{dice.randrange(1, 4):02}-{dice.randrange(1, 29):02}", dice.choice(SOURCES), text]
            )
    return path


def growth(product: Installation, task: str, options: str, sizes: list[int], folder: Path) -> None:
    """Print time, rate and memory for each size."""
    roles = ("worker-batch", "web", "worker-inference", "postgres")
    print("rows      seconds  rows/s   " + "  ".join(f"{role} before/peak MB" for role in roles))
    for size in sizes:
        path = reviews(folder / f"{size}.csv", size)
        before = {role: product.resident_mb(role) for role in roles}
        peaks = dict(before)
        began = time.monotonic()
        batch_id = product.start(path, task, options=options)
        while (info := product.get(batch_id))["status"] not in ENDED:
            for role in roles:
                peaks[role] = max(peaks[role], product.resident_mb(role))
            time.sleep(0.5)
        took = time.monotonic() - began
        assert (info["status"], info["done"]) == ("done", size), info
        memory = "  ".join(f"{before[role]:>10.0f} / {peaks[role]:.0f}" for role in roles)
        print(f"{size:<9} {took:>7.1f} {size / took:>7.0f}   {memory}", flush=True)
        _download(product, batch_id, size)


def _download(product: Installation, batch_id: str, size: int) -> None:
    for kind in ("csv", "xlsx"):
        before, peak, began, received = product.resident_mb("web"), 0.0, time.monotonic(), 0
        with product.client.stream("GET", f"/api/v1/jobs/{batch_id}/results", params={"format": kind}) as answer:
            answer.raise_for_status()
            for number, part in enumerate(answer.iter_bytes()):
                received += len(part)
                if number % 50 == 0:
                    peak = max(peak, product.resident_mb("web"))
        took = time.monotonic() - began
        print(
            f"  {kind}: {received / 1e6:.1f} MB in {took:.1f} s ({size / took:.0f} rows/s),"
            f" web {before:.0f} / {peak:.0f} MB",
            flush=True,
        )


# -- the board -------------------------------------------------------------------------------------------------------
_ROWS = """
INSERT INTO analysis_batchrow (id, tenant_id, batch_id, position, reference, source, at, text, result, output, score,
                               label_no, source_no, topic_no, bucket_no)
SELECT gen_random_uuid(), %(tenant)s, %(batch)s, n, n::text, s[1 + source_no], start + bucket_no * interval '1 day',
       'Review number ' || n || ' of a shop that sells chairs, lamps and sofas, written after the delivery.',
       jsonb_build_object('label', l[1 + label_no], 'score', score), l[1 + label_no], score,
       CASE WHEN n %% 997 = 5 THEN -3 ELSE label_no END, source_no, topic_no, bucket_no
FROM (SELECT n, floor(power(random(), 2) * 3)::int AS label_no, floor(power(random(), 2) * 6)::int AS source_no,
             floor(random() * 12)::int AS topic_no, floor(random() * 90)::int AS bucket_no,
             random() * 2 - 1 AS score FROM generate_series(%(from)s, %(to)s) AS n) AS made,
     (SELECT %(labels)s::text[] AS l, %(sources)s::text[] AS s, '2026-01-01Z'::timestamptz AS start) AS names
"""
_CELLS = """
INSERT INTO analysis_batchcell (id, tenant_id, batch_id, label_no, source_no, topic_no, bucket_no, rows, scored, score_sum)
SELECT gen_random_uuid(), tenant_id, batch_id, label_no, source_no, topic_no, bucket_no, count(*), count(score), sum(score)
FROM analysis_batchrow WHERE batch_id = %(batch)s
GROUP BY tenant_id, batch_id, label_no, source_no, topic_no, bucket_no
"""


def board_write(product: Installation, rows: int) -> str:
    """Write a batch of generated results; returns its id."""
    made = product.client.post("/api/v1/jobs", json={"task": "sentiment", "items": ["x"], "topics": False}).json()
    while product.get(made["id"])["status"] not in ENDED:
        time.sleep(0.5)
    labels, sources = ["negative", "neutral", "positive"], list(SOURCES)
    topics = [f"topic {n}" for n in range(12)]
    with product.database() as connection:
        tenant = connection.execute("SELECT tenant_id FROM analysis_batch WHERE id = %s", [made["id"]]).fetchone()
        assert tenant is not None
        names = {"tenant": tenant[0], "batch": made["id"], "labels": labels, "sources": sources}
        for table in ("analysis_batchrow", "analysis_batchcell"):
            connection.execute(f"DELETE FROM {table} WHERE batch_id = %s", [made["id"]])
        began = time.monotonic()
        for at in range(0, rows, 100_000):
            connection.execute(_ROWS, names | {"from": at, "to": min(at + 100_000, rows) - 1})
        connection.execute(_CELLS, names)
        connection.execute(
            "UPDATE analysis_batch SET total = %s, position = %s, labels = %s, sources = %s, topics = %s,"
            " bucket_unit = 'day', bucket_start = '2026-01-01Z', name = %s WHERE id = %s",
            [rows, rows, labels, sources, topics, f"{rows} generated rows", made["id"]],
        )
        connection.execute("ANALYZE analysis_batchrow, analysis_batchcell")
    print(f"{rows} rows written in {time.monotonic() - began:.0f} s", flush=True)
    return str(made["id"])


def board(product: Installation, batch_id: str) -> None:
    """Print how long the page's requests take for each filter."""
    print(f"batch {batch_id}", flush=True)
    for query in FILTERS:
        parts = {
            "summary": lambda q=query: product.client.get(f"/api/v1/jobs/{batch_id}/summary?{q}"),
            "texts": lambda q=query: product.client.get(f"/api/v1/jobs/{batch_id}/results?format=json&limit=25&{q}"),
        }
        times = {name: _median_ms(ask) for name, ask in parts.items()}
        shown = parts["summary"]().json()["rows"]
        print(
            f"{query or 'no filter':<80} {shown:>8} rows  " + "  ".join(f"{k} {v}" for k, v in times.items()),
            flush=True,
        )


def _median_ms(ask: Callable[[], httpx.Response]) -> str:
    times = []
    for _ in range(7):
        began = time.monotonic()
        ask().raise_for_status()
        times.append((time.monotonic() - began) * 1000)
    return f"{statistics.median(times):.0f} ms (first {times[0]:.0f}, worst {max(times):.0f})"


# -- live chat -------------------------------------------------------------------------------------------------------
def first_token_s(product: Installation) -> float:
    """Return the time to the first piece of a streamed answer, of a prompt that was never read before."""
    body = {
        "model": product.demo["chat_model"],
        # A prompt that was read once is kept: the turn beside the batch, the second, would have been spared the reading.
        "messages": [{"role": "user", "content": f"{uuid4()}: how do I return a lamp that arrived broken?"}],
        "max_tokens": 24,
        "stream": True,
    }
    began = time.monotonic()
    with product.client.stream("POST", "/v1/chat/completions", json=body) as answer:
        answer.raise_for_status()
        took = 0.0
        for line in answer.iter_lines():
            if not took and '"content"' in line and '"content":""' not in line:
                took = time.monotonic() - began
    assert took
    return took


def chat(product: Installation, task: str, options: str, folder: Path, rounds: int, rows: int) -> None:
    """Print the time to the first token without and with a batch, in turns."""
    path = reviews(folder / "chat.csv", rows)
    batch_id = product.start(path, task, options=options, topics=False)
    while product.get(batch_id)["status"] in {"queued", "reading"}:
        time.sleep(0.3)
    try:
        _turns(product, batch_id, task, rounds)
    finally:
        product.client.delete(f"/api/v1/jobs/{batch_id}", params={"purge": True})


def _turns(product: Installation, batch_id: str, task: str, rounds: int) -> None:
    alone: list[float] = []
    beside: list[float] = []
    rates = []
    for _ in range(rounds):
        for running, times in ((False, alone), (True, beside)):
            _set(product, batch_id, running=running)
            time.sleep(1.0)
            done = product.get(batch_id)["done"]
            began = time.monotonic()
            for _ in range(CHATS_A_TURN):
                times.append(first_token_s(product))
                time.sleep(0.4)
            if running:
                rates.append((product.get(batch_id)["done"] - done) / (time.monotonic() - began))
    for name, times in (("alone", alone), ("beside a batch", beside)):
        ordered = sorted(times)
        print(
            f"{name:<15} n={len(times)} median {statistics.median(times) * 1000:.0f} ms,"
            f" p90 {ordered[int(len(ordered) * 0.9)] * 1000:.0f} ms"
        )
    assert min(rates) > 0, "the batch has ended: give it more rows"
    print(
        f"{task}: {statistics.median(beside) / statistics.median(alone):.2f}x, batch {statistics.median(rates):.0f} rows/s"
    )


def _set(product: Installation, batch_id: str, *, running: bool) -> None:
    product.client.post(f"/api/v1/jobs/{batch_id}/{'resume' if running else 'pause'}")
    give_up = time.monotonic() + 30
    while running and product.get(batch_id)["status"] != "running" and time.monotonic() < give_up:
        time.sleep(0.1)


def _numbers(raw: str) -> Iterator[int]:
    yield from (int(part) for part in raw.split(","))


def main() -> int:
    """Run one of the measurements."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("growth", "board", "chat"))
    parser.add_argument("--data", type=Path, default=Path(".data"), help="data folder of the running installation")
    parser.add_argument("--task", default="language")
    parser.add_argument("--options", default="{}", help='of the task, for example {"target": "pt"}')
    parser.add_argument("--rows", default="")
    parser.add_argument("--batch", default="", help="a batch that an earlier board has written")
    parser.add_argument("--rounds", type=int, default=4)
    options = parser.parse_args()
    product = Installation(options.data)
    with tempfile.TemporaryDirectory() as name:
        if options.what == "growth":
            growth(
                product, options.task, options.options, list(_numbers(options.rows or "1000,10000,100000")), Path(name)
            )
        elif options.what == "board":
            board(product, options.batch or board_write(product, int(options.rows or 1_000_000)))
        else:
            chat(product, options.task, options.options, Path(name), options.rounds, int(options.rows or 400_000))
    return 0


if __name__ == "__main__":
    sys.exit(main())
