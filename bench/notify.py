"""Commits a second with and without NOTIFY: `python -m bench.notify --writers 8 --seconds 5`.

PostgreSQL takes one lock for the whole server when a transaction that notifies commits, and keeps it until the commit is on
disk: such commits wait for each other, and none shares its write with another. Each writer inserts a row of 200 bytes and
commits. A NOTIFY in a transaction of its own writes nothing and waits for no disk.
"""

from __future__ import annotations

import argparse
import statistics
import threading
import time

import psycopg

from bench import scratch

INSERT = "INSERT INTO bench_rows (text) VALUES (repeat('x', 200))"
WAYS = ("no NOTIFY", "NOTIFY in the transaction", "NOTIFY after the commit")


def _write(way: str, ends: float, start: threading.Barrier, counts: list[int]) -> None:
    with psycopg.connect(scratch.superuser(), autocommit=True) as connection:
        start.wait(30)
        count = 0
        while time.perf_counter() < ends:
            with connection.transaction():
                connection.execute(INSERT)
                if way == WAYS[1]:
                    connection.execute("NOTIFY bench")
            if way == WAYS[2]:
                connection.execute("NOTIFY bench")
            count += 1
        counts.append(count)


def _measure(way: str, writers: int, seconds: float) -> float:
    counts: list[int] = []
    start = threading.Barrier(writers)
    ends = time.perf_counter() + seconds + 0.5
    threads = [threading.Thread(target=_write, args=(way, ends, start, counts)) for _ in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--writers", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    scratch.start()
    with psycopg.connect(scratch.superuser(), autocommit=True) as connection:
        connection.execute("CREATE TABLE bench_rows (id bigserial PRIMARY KEY, text text)")
        listener = psycopg.connect(scratch.superuser(), autocommit=True)
        listener.execute("LISTEN bench")
        found: dict[str, list[float]] = {way: [] for way in WAYS}
        for _ in range(options.rounds):  # in turns: whoever else uses the machine does so for each
            for way in WAYS:
                found[way].append(_measure(way, options.writers, options.seconds))
        listener.close()
    for way, rates in found.items():
        print(f"{way:27} {statistics.median(rates):>7.0f} commits/s, {min(rates):.0f} to {max(rates):.0f}")


if __name__ == "__main__":
    main()
