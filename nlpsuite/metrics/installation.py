"""The collector of everything that is not this process: workers, queues, jobs, outbox."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.db import Error, connection
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from psycopg_pool import PoolTimeout

from apps.core.errors import Unavailable
from apps.core.looks import Looks
from apps.core.storage import storage_rooms
from apps.events.selectors import deliveries_depth, outbox_depth
from apps.inference.services import calls_in_flight, engine_ready, engine_stats, permits_in_use
from apps.jobs.selectors import jobs_active
from nlpsuite.metrics.engine import engine_families

# Prometheus gives a scrape 10 s.
TIMEOUT_S = 3.0


def _redis() -> dict[str, Any]:
    try:
        return {
            "stats": engine_stats(),
            "ready": engine_ready(),
            "permits": permits_in_use(),
            "calls": calls_in_flight(),
        }
    except Unavailable:
        return {}


def _database() -> dict[str, Any]:
    try:
        return {"jobs": jobs_active(), "outbox": outbox_depth(), "deliveries": deliveries_depth()}
    except (Error, PoolTimeout):
        return {}
    finally:
        connection.close()


class InstallationCollector(Collector):
    """Asks Redis and the database at each scrape, at most 3 s; what does not answer is `up` 0 and has no figures."""

    def __init__(self) -> None:
        self._looks = Looks[dict[str, Any]]("metrics", {"redis": _redis, "database": _database}, timeout_s=TIMEOUT_S)

    def describe(self) -> list[Metric]:
        """Nothing: registering the collector must ask nobody."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield all families of the installation."""
        found = self._looks.run()
        up = GaugeMetricFamily("nlpsuite_up", "Whether a part that the web process needs answers.", labels=("part",))
        for name, values in found.items():
            up.add_metric([name], int(bool(values)))
        up.add_metric(["models"], int(bool((found["redis"] or {}).get("ready"))))
        yield up
        version = GaugeMetricFamily("nlpsuite_build_info", "The version that runs; always 1.", labels=("version",))
        version.add_metric([settings.VERSION], 1)
        yield version
        yield from _storage_families()
        if found["redis"]:
            yield from _redis_families(found["redis"])
        if found["database"]:
            yield from _database_families(found["database"])


def _storage_families() -> Iterator[Metric]:
    free = GaugeMetricFamily("nlpsuite_storage_free_bytes", "Room where files are written.", labels=("place",))
    reserve = GaugeMetricFamily(
        "nlpsuite_storage_reserve_bytes", "Room below which nothing more is stored.", labels=("place",)
    )
    for place, room in storage_rooms().items():
        free.add_metric([place], room["free_bytes"])
        reserve.add_metric([place], room["reserve_bytes"])
    yield free
    yield reserve


def _redis_families(found: dict[str, Any]) -> Iterator[Metric]:
    yield from engine_families(found["stats"], time.time())
    limit = settings.INFERENCE_MAX_GENERATIONS
    yield GaugeMetricFamily("nlpsuite_generation_permits_in_use", "Replies and drafts at work.", value=found["permits"])
    yield GaugeMetricFamily("nlpsuite_generation_permits_limit", "Replies and drafts at a time at most.", value=limit)
    calls = GaugeMetricFamily(
        "nlpsuite_inference_calls_in_flight", "Calls from other processes that wait or run.", labels=("class",)
    )
    for label, value in found["calls"].items():
        calls.add_metric([label], value)
    yield calls


def _database_families(found: dict[str, Any]) -> Iterator[Metric]:
    jobs = GaugeMetricFamily("nlpsuite_jobs", "Jobs that wait or run; counted up to 10000.", labels=("queue", "status"))
    for (queue, status), count in found["jobs"].items():
        jobs.add_metric([queue, status], count)
    yield jobs
    outbox = GaugeMetricFamily(
        "nlpsuite_outbox_entries", "Events not parted into deliveries yet; counted up to 10000.", labels=("state",)
    )
    for state, count in found["outbox"].items():
        outbox.add_metric([state], count)
    yield outbox
    deliveries = GaugeMetricFamily(
        "nlpsuite_deliveries",
        "Deliveries of events to handlers that have not ended well; counted up to 10000.",
        labels=("handler", "state"),
    )
    for (handler, state), count in found["deliveries"].items():
        deliveries.add_metric([handler, state], count)
    yield deliveries
