"""`manage.py models`: what is in the catalogue, whether its weights are right, and whether they run."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from apps.inference.engine.errors import ModelUnavailable, WeightsMissing
from apps.inference.engine.host import EngineHost
from apps.inference.engine.types import ChatMessage, GenerateRequest, ModelSpec
from apps.inference.engine.weights import (
    weights_check_formats,
    weights_digests,
    weights_locate,
    weights_prepare,
    weights_size_bytes,
)
from apps.inference.services import catalogue, model_list
from apps.inference.services.local import engine_config

EXIT_BAD = 1
EXIT_MISSING = 2

Row = dict[str, Any]


class Command(BaseCommand):
    """Exit status: 0 all well, 1 a checksum, a format or a run is wrong, 2 weights are missing."""

    help = "List the models, verify their weights, or run each once."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """list, verify, warm, or checksum SOURCE."""
        parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
        actions = parser.add_subparsers(dest="action", required=True)
        for name, text in (
            ("list", "show the catalogue"),
            ("verify", "find the weights of every model and compare their checksums; prepares converted files"),
            ("warm", "load the default models and run each once"),
        ):
            actions.add_parser(name, help=text).add_argument("--json", action="store_true", default=False)
        checksum = actions.add_parser("checksum", help="print the checksums that a catalogue entry needs")
        checksum.add_argument("source", help="package:<module>/<path>, path:<folder or file> or hub:<owner>/<name>")
        checksum.add_argument("--revision", default="main", help="revision of a hub source")
        checksum.add_argument("--json", action="store_true", default=False)

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the action and leave with its exit status."""
        actions: dict[str, Callable[[], tuple[int, list[Row]]]] = {
            "list": self._list,
            "verify": self._verify,
            "warm": self._warm,
            "checksum": lambda: self._checksum(options["source"], options["revision"]),
        }
        try:
            status, rows = actions[options["action"]]()
        except WeightsMissing as error:
            status, rows = EXIT_MISSING, [{"status": "missing", "detail": str(error)}]
        except ModelUnavailable as error:
            status, rows = EXIT_BAD, [{"status": "failed", "detail": str(error)}]
        self.stdout.write(json.dumps(rows, indent=2) if options["json"] else _table(rows))
        if status:
            raise SystemExit(status)

    def _list(self) -> tuple[int, list[Row]]:
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
            }
            for model in model_list()
        ]
        return 0, rows

    def _verify(self) -> tuple[int, list[Row]]:
        status, rows = 0, []
        for _, spec in sorted(catalogue().models.items()):
            row, code = _verify_one(spec)
            rows.append(row)
            status = max(status, code)
        return status, rows

    def _warm(self) -> tuple[int, list[Row]]:
        """Load the default models as a worker does, run each once, and say how long that took."""
        known = catalogue()
        host = EngineHost(known.models, known.defaults, engine_config())
        try:
            host.load()
            rows = [
                _warm_chat(host, known.default("chat").name),
                _warm_embedding(host, known.default("embedding").name),
            ]
            loaded = host.info()["models"]
        finally:
            host.stop()
        return 0, [
            {**row, "load_s": round(loaded[row["name"]]["load_s"], 1), "memory_mb": loaded[row["name"]]["memory_mb"]}
            for row in rows
        ]

    def _checksum(self, source: str, revision: str) -> tuple[int, list[Row]]:
        spec = ModelSpec("checksum", "chat", "", source, revision, {}, "", 0)
        root = weights_locate(spec)
        weights_check_formats(root)
        return 0, [{"file": name, "sha256": digest} for name, digest in weights_digests(root).items()]


def _verify_one(spec: ModelSpec) -> tuple[Row, int]:
    row: Row = {"name": spec.name, "status": "ok", "size_mb": 0, "detail": ""}
    try:
        root = weights_prepare(spec, engine_config().data_dir)
        row |= {"size_mb": round(weights_size_bytes(root) / 1e6), "detail": root.name}
    except WeightsMissing as error:
        return row | {"status": "missing", "detail": str(error)}, EXIT_MISSING
    except ModelUnavailable as error:
        return row | {"status": "wrong", "detail": str(error)}, EXIT_BAD
    return row, 0


def _warm_chat(host: EngineHost, name: str) -> Row:
    request = GenerateRequest((ChatMessage("user", "Say hello."),), max_tokens=16)
    generation = host.generate(request, deadline_s=30.0)
    text = "".join(piece.text for piece in generation)
    first_s = generation.stats.first_token_s if generation.stats else 0.0
    return {"name": name, "status": "ok", "first_ms": round(first_s * 1000), "detail": text.strip()}


def _warm_embedding(host: EngineHost, name: str) -> Row:
    began = time.monotonic()
    vectors = host.embed(["Say hello."], deadline_s=30.0).vectors
    took_ms = round((time.monotonic() - began) * 1000)
    detail = f"{vectors.shape[1]} dimensions"
    return {"name": name, "status": "ok", "first_ms": took_ms, "detail": detail}


def _table(rows: list[Row]) -> str:
    """Return the rows as aligned columns under their names."""
    if not rows:
        return "nothing"
    names = list(rows[0])
    cells = [names, *([_cell(row.get(name, "")) for name in names] for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(names))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells
    )


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else ""
    return str(value)
