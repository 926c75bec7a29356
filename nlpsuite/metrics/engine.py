"""The workers' snapshots as metric families. Names and units follow Prometheus' naming rules."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import accumulate
from typing import Any

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.utils import floatToGoString

PREFIX = "nlpsuite_inference_"
_MIB = 2**20
_MODEL = ("worker", "model")

# Name without prefix -> (key of the model's counters, factor, help).
_MODEL_GAUGES = {
    "slots": ("slots", 1, "Generations that the model computes side by side at most."),
    "model_memory_bytes": ("memory_mb", _MIB, "Memory that the loaded model is counted with."),
    "model_leases": ("leases", 1, "Users of the loaded model now."),
    "model_load_seconds": ("load_s", 1, "How long loading the model took."),
    "kv_cache_usage_ratio": ("cache_usage", 1, "Share of the key-value cache in use, 0 to 1."),
}
_MODEL_COUNTERS = {
    "prompt_tokens": ("prompt_tokens", "Tokens of prompts."),
    "cached_prompt_tokens": ("cached_tokens", "Tokens of prompts that were in the cache and not computed again."),
    "generated_tokens": ("generated_tokens", "Tokens written by chat models."),
    "encoded_tokens": ("tokens", "Tokens read by embedding, classification and other batch models."),
    "batches": ("batches", "Batches computed by batch models."),
    "restarts": ("restarts", "Restarts of the model's process after it died."),
}
_MODEL_HISTOGRAMS = {
    "queue_wait_seconds": ("wait_s", "Time from submission to the start of the work."),
    "time_to_first_token_seconds": ("first_token_s", "Time from submission to the first piece of text."),
    "batch_size": ("batch", "Generations running when one starts; items of a batch for batch models."),
}
_WORKER_GAUGES = {
    "memory_used_bytes": ("used_mb", _MIB, "Memory that the worker's loaded models are counted with."),
    "memory_budget_bytes": ("budget_mb", _MIB, "Memory that the worker's models may take."),
    "worker_resident_bytes": ("resident_mb", _MIB, "Memory that the worker and its model processes really take."),
}
_WORKER_COUNTERS = {
    "model_loads": ("loads", "Models loaded."),
    "model_unloads": ("unloads", "Models unloaded to make room or for a new version."),
    "model_hits": ("hits", "Requests that found their model loaded."),
}
# A chat model counts requests; a batch model counts items, but refuses whole calls.
_REQUEST_OUTCOMES = ("finished", "cancelled", "failed", "refused", "expired")
_ITEM_OUTCOMES = {"finished": "items", "failed": "failed", "expired": "expired"}


def engine_families(stats: Mapping[str, Mapping[str, Any]], now: float) -> Iterator[Metric]:
    """Yield the families of `engine_stats()`; what a model or an older worker does not count is left out or 0."""
    yield from _worker_families(stats, now)
    models = [(worker, name, model) for worker, one in stats.items() for name, model in one.get("models", {}).items()]
    info = GaugeMetricFamily(
        f"{PREFIX}model_info",
        "Models that are loaded or loading; always 1.",
        labels=(*_MODEL, "role", "backend", "revision", "state"),
    )
    for worker, name, model in models:
        info.add_metric(
            [worker, name, *(str(model.get(key, "")) for key in ("role", "backend", "revision", "state"))], 1
        )
    yield info
    for name, (key, factor, text) in _MODEL_GAUGES.items():
        gauge = GaugeMetricFamily(PREFIX + name, text, labels=_MODEL)
        for worker, model_name, model in models:
            if model.get(key) is not None:
                gauge.add_metric([worker, model_name], model[key] * factor)
        yield gauge
    for name, key in (("queue_depth", "queued"), ("running", "running")):
        yield _by_class(name, key, models)
    yield from _counters(models)
    for name, (key, text) in _MODEL_HISTOGRAMS.items():
        histogram = HistogramMetricFamily(PREFIX + name, text, labels=_MODEL)
        for worker, model_name, model in models:
            if model.get(key):
                _histogram(histogram, [worker, model_name], model[key])
        yield histogram


def _worker_families(stats: Mapping[str, Mapping[str, Any]], now: float) -> Iterator[Metric]:
    yield GaugeMetricFamily(f"{PREFIX}workers", "Inference workers of the last 10 s.", value=len(stats))
    age = GaugeMetricFamily(f"{PREFIX}snapshot_age_seconds", "Age of the worker's counters.", labels=("worker",))
    for worker, one in stats.items():
        age.add_metric([worker], max(0.0, now - one["at"]))
    yield age
    for name, (key, factor, text) in _WORKER_GAUGES.items():
        gauge = GaugeMetricFamily(PREFIX + name, text, labels=("worker",))
        for worker, one in stats.items():
            gauge.add_metric([worker], one.get(key, 0) * factor)
        yield gauge
    for name, (key, text) in _WORKER_COUNTERS.items():
        counter = CounterMetricFamily(PREFIX + name, text, labels=("worker",))
        for worker, one in stats.items():
            counter.add_metric([worker], one.get(key, 0))
        yield counter


def _by_class(name: str, key: str, models: list[tuple[str, str, Mapping[str, Any]]]) -> Metric:
    text = {"queued": "Requests or items that wait.", "running": "Generations or batches that are computed now."}
    gauge = GaugeMetricFamily(PREFIX + name, text[key], labels=(*_MODEL, "class"))
    for worker, model_name, model in models:
        for label, value in model.get(key, {}).items():
            gauge.add_metric([worker, model_name, label], value)
    return gauge


def _counters(models: list[tuple[str, str, Mapping[str, Any]]]) -> Iterator[Metric]:
    for name, (key, text) in _MODEL_COUNTERS.items():
        counter = CounterMetricFamily(PREFIX + name, text, labels=_MODEL)
        for worker, model_name, model in models:
            if model.get(key) is not None:
                counter.add_metric([worker, model_name], model[key])
        yield counter
    labels = (*_MODEL, "outcome")
    requests = CounterMetricFamily(
        f"{PREFIX}requests", "Generations, and refused calls of batch models.", labels=labels
    )
    items = CounterMetricFamily(f"{PREFIX}items", "Items of batch models.", labels=labels)
    for worker, model_name, model in models:
        batch = "items" in model
        for outcome in ("refused",) if batch else _REQUEST_OUTCOMES:
            requests.add_metric([worker, model_name, outcome], model.get(outcome, 0))
        for outcome, key in _ITEM_OUTCOMES.items() if batch else ():
            items.add_metric([worker, model_name, outcome], model.get(key, 0))
    yield requests
    yield items


def _histogram(family: HistogramMetricFamily, labels: list[str], counted: Mapping[str, Any]) -> None:
    """Add a snapshot's histogram: its counts are per bucket, Prometheus' are cumulative and end with +Inf."""
    bounds = [*(floatToGoString(bound) for bound in counted["bounds"]), "+Inf"]
    buckets = list(zip(bounds, accumulate(counted["counts"]), strict=True))
    family.add_metric(labels, buckets, sum_value=counted["sum"])
