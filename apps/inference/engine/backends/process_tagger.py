"""A tagger in a process that can be killed: nothing else ends what spaCy or a pattern of Presidio computes.

Three processes: one holds the loaded model, two are forked from it and read texts, of which one is kept for short ones.
A reader is killed when a batch takes longer than any can, or when nobody waits for it any more; a new one is there some
20 ms later, with the same model. Texts come in parts of bounded size (windows.py), so this is what is left for texts that
nobody has thought of.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from apps.inference.engine.base import GiveWay, Prepared, stay
from apps.inference.engine.errors import BatchLost, EngineError, ModelUnavailable
from apps.inference.engine.types import BatchItem, EngineConfig, ModelSpec, Span

logger = logging.getLogger(__name__)

_BACKENDS = {"spacy": "spacy_tagger:SpacyTagger", "presidio": "presidio_tagger:PresidioTagger"}
_ROOT = Path(__file__).resolve().parents[4]
_LOAD_TIMEOUT_S = 120.0
# A batch takes a tenth of a second, and one on a machine that is busy with ten other things a second or two.
_BATCH_LIMIT_S = 10.0
# Its readers, by the byte that asks for another one of the kind.
_LONG, _SHORT = 0, 1
# How often somebody looks whether the batch is still wanted; an answer is taken at once.
_LOOK_S = 0.05
_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 10.0


class ProcessTagger:
    """Serves one spaCy or Presidio model; see spacy_tagger.py and presidio_tagger.py for what it takes and gives."""

    def __init__(self, spec: ModelSpec, path: Path, config: EngineConfig) -> None:
        self._spec, self._path, self._config = spec, path, config
        module, _, name = _BACKENDS[spec.backend].partition(":")
        # Prepares texts here, without its model.
        inner_class = getattr(importlib.import_module(f"{__package__}.{module}"), name)
        self._inner: Any = inner_class(spec, path, config)
        self.batch_tokens: int = self._inner.batch_tokens
        self.labels: tuple[str, ...] = ()
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._readers: dict[int, Connection] = {}
        self._stopping = threading.Event()
        self.kills = 0

    def load(self) -> None:
        """Start the process and wait until the model is loaded (1 to 8 s). Raises ModelUnavailable."""
        self._start()

    def prepare(self, items: Sequence[BatchItem]) -> list[Prepared]:
        """Cut texts to the limit and into parts. Raises EngineError for items of the wrong kind."""
        prepared: list[Prepared] = self._inner.prepare(items)
        return prepared

    def run(self, batch: Sequence[Prepared], give_way: GiveWay = stay, /) -> list[Any]:
        """Return a tuple of Span per text.

        Errors: what `give_way` raises; BatchLost when the reader died or took longer than 10 s. It is replaced then.
        """
        return self._run(_LONG, batch, give_way)

    def run_short(self, batch: Sequence[Prepared], give_way: GiveWay = stay, /) -> list[Any]:
        """Return what `run` returns, by the other reader."""
        return self._run(_SHORT, batch, give_way)

    def stop(self) -> None:
        """End the processes; a batch that is computed ends with BatchLost."""
        self._stopping.set()
        with self._lock:
            process, self._process = self._process, None
            self._close()
        if process is not None:
            try:
                process.wait(2)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    # -- inside ------------------------------------------------------------------------------------------------------
    def _run(self, which: int, batch: Sequence[Prepared], give_way: GiveWay) -> list[Any]:
        reader = self._ready_reader(which)
        try:
            reader.send_bytes(json.dumps([one.payload for one in batch]).encode())
            self._wait(reader, give_way)
            answer = json.loads(reader.recv_bytes())
        except (EOFError, OSError) as error:
            self._replace(which)
            raise BatchLost(f"{self._spec.name}: the process that read the texts ended") from error
        except EngineError:
            self._replace(which)
            raise
        if "error" in answer:
            raise ModelUnavailable(f"{self._spec.name} failed: {answer['error']}")
        texts = (one.payload if isinstance(one.payload, str) else one.payload[0] for one in batch)
        return [tuple(_span(text, row) for row in rows) for text, rows in zip(texts, answer["rows"], strict=True)]

    def _wait(self, reader: Connection, give_way: GiveWay) -> None:
        """Return when there is an answer. Raises what `give_way` raises, BatchLost after the limit."""
        until = time.monotonic() + _BATCH_LIMIT_S
        while not reader.poll(_LOOK_S):
            give_way()
            if time.monotonic() > until:
                raise BatchLost(f"{self._spec.name} computed for longer than {_BATCH_LIMIT_S:.0f} s", late=True)

    def _ready_reader(self, which: int) -> Connection:
        with self._lock:
            if which not in self._readers or self._stopping.is_set():
                raise ModelUnavailable(f"{self._spec.name} is not running")
            return self._readers[which]

    def _replace(self, which: int) -> None:
        """Kill a reader and have another one forked; where the process of the model is gone, start that again."""
        with self._lock:
            self.kills += 1
            if self._stopping.is_set():
                return
            logger.warning("%s: the process that reads texts is replaced", self._spec.name)
            if self._fork(which):
                return
            self._close()
        threading.Thread(target=self._restart, name=f"restart-{self._spec.name}", daemon=True).start()

    def _fork(self, which: int) -> bool:
        """Ask for a new reader of a kind. Called under the lock; False when nobody is there to ask."""
        if self._control is None:
            return False
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                socket.send_fds(self._control, [bytes([which])], [theirs.fileno()])
            except OSError:
                ours.close()
                return False
        if which in self._readers:
            self._readers[which].close()
        self._readers[which] = Connection(ours.detach())
        return True

    def _close(self) -> None:
        for reader in self._readers.values():
            reader.close()
        if self._control is not None:
            self._control.close()
        self._readers, self._control = {}, None

    def _restart(self) -> None:
        pause_s = _PAUSE_S
        while not self._stopping.wait(pause_s):
            try:
                self._start()
            except (ModelUnavailable, OSError):
                logger.exception("%s did not start", self._spec.name)
                pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
            else:
                return

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        settings = {
            # The files were compared with their digests before this.
            "spec": asdict(self._spec) | {"files": {}},
            "backend": _BACKENDS[self._spec.backend],
            "path": str(self._path),
            "data_dir": str(self._config.data_dir),
        }
        command = [sys.executable, "-m", f"{__package__}.tagger_server", str(theirs.fileno()), json.dumps(settings)]
        # One thread: a forked process has no other ones, and the products are small.
        environment = os.environ | dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        environment |= {"PYTHONPATH": str(_ROOT), "HF_HUB_OFFLINE": "1"}
        with theirs:
            process = subprocess.Popen(
                command, pass_fds=[theirs.fileno()], env=environment, stdin=subprocess.DEVNULL, cwd=_ROOT
            )
        try:
            self.labels = tuple(self._heard(ours, process)["labels"])
        except BaseException:
            ours.close()
            process.kill()
            process.wait()
            raise
        with self._lock:
            old, self._process, self._control = self._process, process, ours
            if not all(self._fork(which) for which in (_LONG, _SHORT)):
                raise ModelUnavailable(f"{self._spec.name}: the process of the model ended")
        if old is not None:
            with suppress(ProcessLookupError):
                old.kill()
            old.wait()
        if self._stopping.is_set():
            self.stop()

    def _heard(self, ours: socket.socket, process: subprocess.Popen[bytes]) -> dict[str, Any]:
        """Return the first message of a process. Raises ModelUnavailable when it is not that it is ready."""
        ours.settimeout(_LOAD_TIMEOUT_S)
        try:
            with ours.makefile("rb") as lines:
                line = lines.readline()
        except TimeoutError:
            raise ModelUnavailable(f"{self._spec.name} did not load within {_LOAD_TIMEOUT_S:.0f} s") from None
        ours.settimeout(None)
        if not line:
            raise ModelUnavailable(f"{self._spec.name}: its process ended with status {process.wait()} while loading")
        message: dict[str, Any] = json.loads(line)
        if message["ev"] != "ready":
            raise ModelUnavailable(message["message"])
        return message


def _span(text: str, row: Sequence[Any]) -> Span:
    start, end, label, score = row
    return Span(start, end, label, score, text[start:end])
