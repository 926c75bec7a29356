"""Reads for operators: what the workers do now and did in the last minutes, for the whole installation.

Nothing here names an organisation or holds a text.
"""

from __future__ import annotations

import math
import time
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

from django.conf import settings

from apps.core.storage import storage_short
from apps.inference.catalogue import Catalogue
from apps.inference.engine.errors import ModelUnavailable
from apps.inference.services.models import catalogue
from apps.inference.services.permits import permits_in_use
from apps.inference.services.startup import start_failure
from apps.inference.services.stats import HISTORY_LENGTH, engine_histories, engine_stats

STEP_S = 2
WINDOW_S = HISTORY_LENGTH
MAX_MODELS = 200
CLASSES = ("live", "api", "batch")
# Workers write once a second; a line has a gap where one was silent for longer than this.
_SILENT_S = 5.0

Point = dict[str, Any]


def operations_view(*, after: float = 0.0) -> dict[str, Any]:
    """Return what the operators' page shows: now, and the series of the last 5 minutes that lie after the time `after`.

    Shape:  {"at", "step_s", "window_s", "series": [see _sample], "first_token_p95_s", "used_mb", "budget_mb",
            "permits": {"in_use", "limit"}, "workers": [...], "models": [...], "models_left_out", "catalogue_error",
            "failure", "storage_short": [places without room for files]}.
    Limits: 150 samples, 32 workers, 200 models; four round trips to Redis.
    Errors: Unavailable without Redis.
    """
    now = time.time()
    stats = engine_stats()
    after = min(max(after, now - WINDOW_S), now)
    histories = engine_histories(list(stats), after=after - STEP_S - _SILENT_S)
    known, catalogue_error = _catalogue()
    models = _models(stats, known)
    return {
        "at": now,
        "step_s": STEP_S,
        "window_s": WINDOW_S,
        "series": series_of(histories, after=after, now=now),
        "first_token_p95_s": _first_token_p95(stats, histories),
        "used_mb": sum(one["used_mb"] for one in stats.values()),
        "budget_mb": sum(one["budget_mb"] for one in stats.values()),
        "permits": {"in_use": permits_in_use(), "limit": settings.INFERENCE_MAX_GENERATIONS},
        "workers": [_worker(name, one, now) for name, one in stats.items()],
        "models": models[:MAX_MODELS],
        "models_left_out": max(0, len(models) - MAX_MODELS),
        "catalogue_error": catalogue_error,
        "failure": start_failure(),
        "storage_short": storage_short(),
    }


def series_of(histories: Mapping[str, Sequence[Point]], *, after: float, now: float) -> list[dict[str, Any]]:
    """Return one sample for each multiple of STEP_S in (after, now], all workers together."""
    last = math.floor(now / STEP_S)
    first = max(math.floor(after / STEP_S) + 1, last - WINDOW_S // STEP_S + 1)
    times = {worker: [point["at"] for point in points] for worker, points in histories.items()}
    return [_sample(histories, times, number * STEP_S) for number in range(first, last + 1)]


def _sample(histories: Mapping[str, Sequence[Point]], times: Mapping[str, list[float]], at: float) -> dict[str, Any]:
    """Return the state at the time `at`, and what happened in the step before it.

    Shape: {"at", "running" and "queued" by class, "used_mb", "generated_per_s", "encoded_per_s", "first_token_s",
           "wait_s", "chat_batch", "encode_batch"}: the latter are means; None where nothing is known or happened.
    """
    pairs = [pair for worker, points in histories.items() if (pair := _pair(points, times[worker], at)) is not None]
    if not pairs:
        return {"at": at}
    steps = [_step(before, current) for before, current in pairs if before is not None]
    models = [model for _, current in pairs for model in current["models"].values()]
    return {
        "at": at,
        "running": _by_class(models, "running"),
        "queued": _by_class(models, "queued"),
        "used_mb": sum(current["used_mb"] for _, current in pairs),
        "generated_per_s": _total(steps, "generated_per_s"),
        "encoded_per_s": _total(steps, "encoded_per_s"),
        "first_token_s": _mean(steps, "first"),
        "wait_s": _mean(steps, "wait"),
        "chat_batch": _mean(steps, "chat_batch"),
        "encode_batch": _mean(steps, "encode_batch"),
    }


def _pair(points: Sequence[Point], times: list[float], at: float) -> tuple[Point | None, Point] | None:
    """Return a worker's point at the time `at` and the one a step before it; None when it said nothing then."""
    index = bisect_right(times, at) - 1
    if index < 0 or times[index] < at - _SILENT_S:
        return None
    before = min(bisect_right(times, at - STEP_S) - 1, index - 1)
    known = before >= 0 and times[before] > at - STEP_S - _SILENT_S
    return (points[before] if known else None), points[index]


def _step(before: Point, current: Point) -> dict[str, Any]:
    """Return the rates and the [sum, count] of everything that was measured between two points of a worker."""
    seconds = max(0.001, current["at"] - before["at"])
    step: dict[str, Any] = {"generated_per_s": 0.0, "encoded_per_s": 0.0}
    step |= {name: [0.0, 0.0] for name in ("first", "wait", "chat_batch", "encode_batch")}
    for name, model in current["models"].items():
        old = before["models"].get(name, {})
        step["generated_per_s" if model["chat"] else "encoded_per_s"] += _grown(model, old, "tokens") / seconds
        _add(step["wait"], _difference(model["wait"], old.get("wait")))
        _add(step["chat_batch" if model["chat"] else "encode_batch"], _difference(model["batch"], old.get("batch")))
        _add(step["first"], _difference(_first(model), _first(old)))
    return step


def _first(model: Mapping[str, Any]) -> list[float]:
    return [model.get("first_sum", 0.0), sum(model.get("first", ()))]


def _grown(model: Mapping[str, Any], old: Mapping[str, Any], name: str) -> float:
    """Return by how much a total has grown; a smaller one belongs to a model that was loaded anew."""
    growth = float(model[name] - old.get(name, 0))
    return growth if growth >= 0 else float(model[name])


def _difference(new: list[float], old: list[float] | None) -> list[float]:
    if old is None or new[1] < old[1]:
        return new
    return [new[0] - old[0], new[1] - old[1]]


def _add(total: list[float], more: list[float]) -> None:
    total[0] += more[0]
    total[1] += more[1]


def _total(steps: Sequence[Mapping[str, Any]], name: str) -> float | None:
    return round(sum(step[name] for step in steps), 2) if steps else None


def _mean(steps: Sequence[Mapping[str, Any]], name: str) -> float | None:
    count = sum(step[name][1] for step in steps)
    return round(max(0.0, sum(step[name][0] for step in steps)) / count, 4) if count else None


def _by_class(models: Sequence[Mapping[str, Any]], name: str) -> dict[str, int]:
    return {label: sum(model[name][place] for model in models) for place, label in enumerate(CLASSES)}


# -- now -------------------------------------------------------------------------------------------------------------
def quantile(bounds: Sequence[float], counts: Sequence[float], q: float) -> float | None:
    """Return the value below which the share `q` lies, straight inside its bucket; None of nothing.

    Values above the last bound count as that bound.
    """
    total = sum(counts)
    if not total:
        return None
    rank, below, lower = q * total, 0.0, 0.0
    for bound, count in zip(bounds, counts, strict=False):
        if below + count >= rank:
            return lower + (bound - lower) * (rank - below) / count
        below, lower = below + count, bound
    return lower


def _first_token_p95(stats: Mapping[str, Any], histories: Mapping[str, Sequence[Point]]) -> float | None:
    """Return the 95th percentile of the times to first token in the window."""
    bounds: list[float] = []
    counts: list[float] = []
    for worker, snapshot in stats.items():
        oldest = histories[worker][0]["models"] if histories[worker] else {}
        for name, model in snapshot["models"].items():
            if not model.get("first_token_s"):
                continue
            bounds, now = model["first_token_s"]["bounds"], model["first_token_s"]["counts"]
            old = oldest.get(name, {}).get("first") or [0] * len(now)
            grown = [new - before for new, before in zip(now, old, strict=False)]
            grown = grown if min(grown) >= 0 else now
            counts = [a + b for a, b in zip(counts, grown, strict=True)] if counts else grown
    value = quantile(bounds, counts, 0.95)
    return round(value, 4) if value is not None else None


def _worker(name: str, snapshot: Mapping[str, Any], now: float) -> dict[str, Any]:
    fields = ("used_mb", "budget_mb", "resident_mb", "loads", "unloads", "hits")
    age_s = round(max(0.0, now - snapshot["at"]), 1)
    return {"name": name, "age_s": age_s, **{key: snapshot.get(key, 0) for key in fields}}


def _catalogue() -> tuple[Catalogue, str]:
    """Return the catalogue, or an empty one and why it cannot be read."""
    try:
        return catalogue(), ""
    except ModelUnavailable as error:
        return Catalogue({}, {}), str(error)


def _models(stats: Mapping[str, Any], known: Catalogue) -> list[dict[str, Any]]:
    """Return a row for each loaded model of each worker and for each entry that is not loaded."""
    defaults = set(known.defaults.values())
    rows = [
        {"worker": worker, "name": name, "default": name in defaults, **_loaded(model)}
        for worker, snapshot in stats.items()
        for name, model in sorted(snapshot["models"].items())
    ]
    loaded = {row["name"] for row in rows}
    rows += [
        {
            "worker": "",
            "name": name,
            "default": name in defaults,
            "role": spec.role,
            "backend": spec.backend,
            "revision": spec.revision,
            "state": "unloaded",
        }
        for name, spec in sorted(known.models.items())
        if name not in loaded
    ]
    return rows


def _loaded(model: Mapping[str, Any]) -> dict[str, Any]:
    first, read, cached = model.get("first_token_s"), model.get("prompt_tokens", 0), model.get("cached_tokens")
    p95 = quantile(first["bounds"], first["counts"], 0.95) if first else None
    return {
        **{key: model[key] for key in ("role", "backend", "revision", "state", "memory_mb", "leases", "load_s")},
        "pinned": model["pinned"],
        "running": sum(model.get("running", {}).values()),
        "queued": sum(model.get("queued", {}).values()),
        "finished": model.get("finished", model.get("items", 0)),
        "cancelled": model.get("cancelled", 0),
        "not_done": sum(model.get(key, 0) for key in ("failed", "refused", "expired")),
        "tokens": model.get("generated_tokens", model.get("tokens", 0)),
        "cached_share": round(cached / read, 4) if read and cached is not None else None,
        "restarts": model.get("restarts", 0),
        "first_token_p95_s": round(p95, 4) if p95 is not None else None,
    }
