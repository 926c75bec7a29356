"""`manage.py models`: what is in the catalogue, whether its weights are right and fit, and whether they run."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psutil
from django.core.management.base import BaseCommand, CommandParser

from apps.core.errors import Unavailable
from apps.inference.engine.errors import EngineError, ModelUnavailable, NotEnoughMemory, WeightsMissing
from apps.inference.engine.host import EngineHost
from apps.inference.engine.memory import memory_budget_mb, memory_check, memory_needed_mb
from apps.inference.engine.types import BatchItem, ChatMessage, GenerateRequest, ModelSpec, Role, TranslateItem
from apps.inference.engine.weights import (
    PACKAGED_BACKENDS,
    weights_check_formats,
    weights_digests,
    weights_locate,
    weights_prepare,
    weights_prepare_adapters,
)
from apps.inference.services import catalogue, engine_stats, model_get, model_list
from apps.inference.services.local import engine_config

EXIT_BAD = 1
EXIT_MISSING = 2
EXIT_TOO_LARGE = 3
# What a worker loads at its start and keeps.
START_ROLES: tuple[Role, ...] = ("chat", "embedding")
_LOAD_S = 600.0
_TEXT = "Ana Lima lives in Lisbon and likes the sea."
_LIST_COLUMNS = ("name", "role", "default", "state", "backend", "revision", "memory_mb", "max_tokens", "can")
_SHOWN = 5

Row = dict[str, Any]


class Command(BaseCommand):
    """Exit status: the highest of 0 all well, 1 a checksum, format or run is wrong, 2 weights are missing, 3 too large."""

    help = "List the models, verify their weights, or run each once."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """list, verify [NAME], warm [NAME], or checksum SOURCE."""
        parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
        actions = parser.add_subparsers(dest="action", required=True)
        for name, text in (
            ("list", "show the catalogue, and which models a worker has loaded"),
            ("verify", "read the weights, compare their checksums, see whether they fit; prepares converted files"),
            ("warm", "load models and run each once; without a name, those that a worker loads at its start"),
        ):
            action = actions.add_parser(name, help=text)
            action.add_argument("--json", action="store_true", default=argparse.SUPPRESS)
            if name != "list":
                action.add_argument("name", nargs="*", help="models of the catalogue")
        checksum = actions.add_parser("checksum", help="print the checksums that a catalogue entry needs")
        checksum.add_argument("source", help="package:<module>/<path>, path:<folder or file> or hub:<owner>/<name>")
        checksum.add_argument("--revision", default="main", help="revision of a hub source")
        checksum.add_argument("--backend", default="", help="the entry's backend, where it is spacy or bergamot")
        checksum.add_argument("--json", action="store_true", default=argparse.SUPPRESS)

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the action and leave with its exit status."""
        self.watched = sys.stderr.isatty() and not options["json"]
        actions: dict[str, Callable[[], tuple[int, list[Row]]]] = {
            "list": self._list,
            "verify": lambda: self._verify(options["name"]),
            "warm": lambda: self._warm(options["name"]),
            "checksum": lambda: self._checksum(options["source"], options["revision"], options["backend"]),
        }
        try:
            status, rows = actions[options["action"]]()
        except EngineError as error:
            status, rows = _status(error), [{"status": _word(error), "detail": str(error)}]
        columns = _LIST_COLUMNS if options["action"] == "list" else ()
        self.stdout.write(json.dumps(rows, indent=2) if options["json"] else _table(rows, columns))
        if status:
            raise SystemExit(status)

    # -- list --------------------------------------------------------------------------------------------------------
    def _list(self) -> tuple[int, list[Row]]:
        specs, states = catalogue().models, _states()
        rows = [
            {
                "name": model.name,
                "role": model.role,
                "default": model.is_default,
                "backend": model.backend,
                "source": model.source,
                "revision": model.revision,
                "licence": model.licence,
                "max_tokens": model.max_tokens,
                "dim": model.dim,
                "state": states.get(model.name, ""),
                "memory_mb": _memory_mb(specs[model.name]),
                "capabilities": list(model.capabilities),
                "labels": list(model.labels),
                "languages": ["-".join(pair) for pair in model.languages],
                "adapters": list(model.adapters),
            }
            for model in model_list()
        ]
        return 0, rows

    # -- verify ------------------------------------------------------------------------------------------------------
    def _verify(self, names: Sequence[str]) -> tuple[int, list[Row]]:
        known, budget_mb = catalogue(), memory_budget_mb(engine_config())
        wanted = [known.get(name) for name in names] or [spec for _, spec in sorted(known.models.items())]
        status, rows = 0, []
        for spec in wanted:
            row, code = self._verify_one(spec, budget_mb)
            rows.append(row)
            status = max(status, code)
        if not names and not status:
            try:
                memory_check([known.default(role) for role in START_ROLES], budget_mb)
            except NotEnoughMemory as error:
                row = {"name": "defaults", "status": _word(error), "size_mb": 0, "memory_mb": 0, "detail": str(error)}
                return EXIT_TOO_LARGE, [*rows, row]
        return status, rows

    def _verify_one(self, spec: ModelSpec, budget_mb: int) -> tuple[Row, int]:
        row: Row = {"name": spec.name, "status": "ok", "size_mb": 0, "memory_mb": spec.memory_mb, "detail": ""}
        if spec.source.startswith("remote:"):
            return row | {"status": "remote", "detail": spec.source.removeprefix("remote:")}, 0
        began = time.monotonic()

        def progress(file: str, done: int, size: int) -> None:
            speed = done / 1e6 / max(0.001, time.monotonic() - began)
            self._say(f"{spec.name}: {file} {done * 100 // max(1, size)} % ({speed:.0f} MB/s)")

        try:
            root = weights_prepare(spec, engine_config().data_dir, progress=progress)
            weights_prepare_adapters(spec, engine_config().data_dir)
            row |= {"size_mb": _size_mb(root), "detail": root.name}
            row["memory_mb"] = memory_needed_mb(spec)
            if row["memory_mb"] > budget_mb:
                raise NotEnoughMemory(
                    f"needs {row['memory_mb']} MB, models may take {budget_mb} MB; raise INFERENCE_MEMORY_MB"
                )
        except ModelUnavailable as error:
            word = _word(error)
            return row | {"status": "wrong" if word == "failed" else word, "detail": str(error)}, _status(error)
        finally:
            self._say("")
        return row, 0

    # -- warm --------------------------------------------------------------------------------------------------------
    def _warm(self, names: Sequence[str]) -> tuple[int, list[Row]]:
        """Load each model as a worker does, run it once, and say how long that took and what memory it takes."""
        known = catalogue()
        wanted = [known.get(name) for name in names] or [known.default(role) for role in START_ROLES]
        host = EngineHost(known.models, known.defaults, engine_config())
        status, rows = 0, []
        try:
            for number, spec in enumerate(wanted, 1):
                self._say(f"{spec.name}: loading and running ({number} of {len(wanted)})")
                row, code = _warm_one(host, spec)
                rows.append(row)
                status = max(status, code)
        finally:
            self._say("")
            host.stop()
        return status, rows

    def _checksum(self, source: str, revision: str, backend: str) -> tuple[int, list[Row]]:
        spec = ModelSpec("checksum", "chat", backend, source, revision, {}, "", 0)
        root = weights_locate(spec)
        packaged = backend in PACKAGED_BACKENDS
        if not packaged:
            weights_check_formats(root, adapter=True)
        digests = weights_digests(root, every_file=packaged)
        return 0, [{"file": name, "sha256": digest} for name, digest in digests.items()]

    def _say(self, text: str) -> None:
        """Show a passing line on a terminal; the next one takes its place."""
        if self.watched:
            sys.stderr.write(f"\r\x1b[K{text}")
            sys.stderr.flush()


def _status(error: EngineError) -> int:
    if isinstance(error, WeightsMissing):
        return EXIT_MISSING
    return EXIT_TOO_LARGE if isinstance(error, NotEnoughMemory) else EXIT_BAD


def _word(error: EngineError) -> str:
    return {EXIT_MISSING: "missing", EXIT_TOO_LARGE: "too large"}.get(_status(error), "failed")


def _states() -> dict[str, str]:
    """Return {model: state} of what the workers have loaded; nothing where none can be asked."""
    try:
        return {name: model["state"] for worker in engine_stats().values() for name, model in worker["models"].items()}
    except Unavailable:
        return {}


def _memory_mb(spec: ModelSpec) -> int | None:
    try:
        return memory_needed_mb(spec)
    except WeightsMissing:
        return None


def _size_mb(root: Path) -> int:
    files = [root] if root.is_file() else [path for path in root.rglob("*") if path.is_file()]
    return round(sum(path.stat().st_size for path in files) / 1e6)


def _warm_one(host: EngineHost, spec: ModelSpec) -> tuple[Row, int]:
    before_mb = _resident_mb()
    row: Row = {"name": spec.name, "status": "ok", "first_ms": 0, "detail": "", "load_s": 0.0, "memory_mb": 0}
    try:
        row |= _warm_chat(host, spec) if spec.role == "chat" else _warm_batch(host, spec)
        loaded = host.info()["models"][spec.name]
        row |= {"load_s": round(loaded["load_s"], 1), "memory_mb": loaded["memory_mb"]}
    except EngineError as error:
        return row | {"status": _word(error), "detail": str(error), "measured_mb": 0}, _status(error)
    return row | {"measured_mb": max(0, _resident_mb() - before_mb)}, 0


def _warm_chat(host: EngineHost, spec: ModelSpec) -> Row:
    request = GenerateRequest((ChatMessage("user", "Say hello."),), max_tokens=16, model=spec.name)
    # Its times count from the submission to the engine, which comes after loading.
    generation = host.generate(request, deadline_s=_LOAD_S)
    text = "".join(piece.text for piece in generation)
    first_s = generation.stats.first_token_s if generation.stats else 0.0
    return {"first_ms": round(first_s * 1000), "detail": text.strip()}


def _warm_batch(host: EngineHost, spec: ModelSpec) -> Row:
    items = [_sample(spec)]
    host.run(spec.role, items, model=spec.name, deadline_s=_LOAD_S)  # loads it
    began = time.monotonic()
    (value,) = host.run(spec.role, items, model=spec.name, deadline_s=_LOAD_S).values
    took_ms = round((time.monotonic() - began) * 1000)
    return {"first_ms": took_ms, "detail": _described(host, spec, value)}


def _sample(spec: ModelSpec) -> BatchItem:
    if spec.role == "reranker":
        return ("Where does Ana live?", _TEXT)
    if spec.role == "translator":
        source, target = next(iter(model_get(name=spec.name).languages), ("", ""))
        return TranslateItem(_TEXT, source, target)
    return _TEXT


def _described(host: EngineHost, spec: ModelSpec, value: Any) -> str:
    if spec.role == "embedding":
        return f"{len(value)} dimensions"
    if spec.role == "classifier":
        return str(host.labels(spec.name, deadline_s=_LOAD_S)[int(value.argmax())])
    if spec.role == "tagger":
        return ", ".join(f"{span.text} {span.label}" for span in value)
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _resident_mb() -> int:
    own = psutil.Process()
    return sum(process.memory_info().rss for process in [own, *own.children(recursive=True)]) // 2**20


def _table(rows: list[Row], columns: Sequence[str] = ()) -> str:
    """Return the rows as aligned columns under their names; `columns` chooses which, "can" being what a model can do."""
    if not rows:
        return "nothing"
    names = list(columns or rows[0])
    cells = [names, *([_cell(_can(row) if name == "can" else row.get(name, "")) for name in names] for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(names))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells
    )


def _can(row: Row) -> str:
    parts: list[str] = [*row["capabilities"], *row["languages"], *row["labels"]]
    more = f" and {len(parts) - _SHOWN} more" if len(parts) > _SHOWN else ""
    return ", ".join(parts[:_SHOWN]) + more


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else ""
    return "" if value is None else str(value)
