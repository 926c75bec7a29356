"""The process of a tagger: loads the model once, and forks the processes that read texts from it, again after each kill.

Started by process_tagger.py with the number of a socket and the settings as JSON. Over the socket it says {"ev": "ready",
"labels"} or {"ev": "failed", "message"}; each message, a byte that names a reader, comes with a descriptor: that reader
ends, and another one is forked, which answers on the descriptor. When the socket closes it ends, and the readers with it.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import signal
import socket
import sys
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

# Libraries that spaCy takes along where they are installed: 3 s and 250 MB, for models that use neither.
_UNUSED = ("torch", "tensorflow", "mxnet", "transformers")
_PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> int:
    """Serve until the socket closes. Returns the status of the process."""
    control = socket.socket(fileno=int(arguments[0]))
    settings = json.loads(arguments[1])
    for name in _UNUSED:
        sys.modules[name] = None  # type: ignore[assignment]  # which makes an import of it fail
    try:
        backend = _loaded(settings)
    except Exception as error:  # noqa: BLE001  (whatever a library raises, the parent must hear of it)
        _say(control, {"ev": "failed", "message": str(error)[:1000]})
        return 1
    _say(control, {"ev": "ready", "labels": list(backend.labels)})
    # What is shared with the readers stays shared: the collector would write into all of it.
    gc.collect()
    gc.freeze()
    readers: dict[bytes, int] = {}
    while True:
        try:
            message, descriptors, _, _ = socket.recv_fds(control, 1, 1)
        except OSError:
            return 0
        if not message or not descriptors:
            for pid in readers.values():
                _end(pid)
            return 0
        _end(readers.get(message, 0))
        readers[message] = os.fork()
        if not readers[message]:
            control.close()
            _read(backend, descriptors[0])
            os._exit(0)
        os.close(descriptors[0])


def _loaded(settings: dict[str, Any]) -> Any:
    from apps.inference.engine.types import EngineConfig, ModelSpec

    spec = ModelSpec(**settings["spec"])
    module, _, name = settings["backend"].partition(":")
    backend_class = getattr(importlib.import_module(f"apps.inference.engine.backends.{module}"), name)
    backend = backend_class(spec, Path(settings["path"]), EngineConfig(Path(settings["data_dir"]), threads=1))
    backend.load()
    return backend


def _say(control: socket.socket, message: dict[str, Any]) -> None:
    with suppress(OSError):
        control.sendall(json.dumps(message).encode() + b"\n")


def _end(pid: int) -> None:
    if pid:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(pid, 0)


def _read(backend: Any, descriptor: int) -> None:
    """Answer one list of payloads after the other with lists of [start, end, label, score]."""
    from apps.inference.engine.base import Prepared

    if sys.platform.startswith("linux"):
        # A reader that computes sees no closed socket.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    connection = Connection(descriptor)
    with suppress(EOFError, OSError, KeyboardInterrupt):
        while True:
            payloads = json.loads(connection.recv_bytes())
            batch = [Prepared(1, tuple(one) if isinstance(one, list) else one) for one in payloads]
            try:
                rows = [[[s.start, s.end, s.label, s.score] for s in spans] for spans in backend.run(batch)]
                answer: dict[str, Any] = {"rows": rows}
            except Exception as error:  # noqa: BLE001  (the callers hear of it)
                answer = {"error": f"{type(error).__name__}: {error}"[:1000]}
            connection.send_bytes(json.dumps(answer).encode())


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit(main(sys.argv[1:]))
