"""xllamacpp's own server on a free port, with a slot per stream. Options: `model`, a GGUF file; `slots`."""

from __future__ import annotations

import os
from typing import Any

from bench.peers.protocol import Actions, serve

# Each slot holds a prompt of 700 tokens and its answer.
SLOT_TOKENS = 1024


def load(options: dict[str, Any]) -> tuple[dict[str, Any], Actions]:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = options["model"]
    params.n_parallel, params.n_ctx = options["slots"], options["slots"] * SLOT_TOKENS
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = min(os.cpu_count() or 1, 8)
    params.hostnames, params.port = ["127.0.0.1"], options["port"]
    params.use_jinja, params.verbosity = True, -1
    server = xllamacpp.Server(params)
    return {"base_url": server.listening_address, "model": "default"}, {"server": lambda: repr(server)}


if __name__ == "__main__":
    serve(load)
