"""`transformers serve` on a free port, with continuous batching. Options: `model`, `dtype`, `port`, `streams`."""

from __future__ import annotations

import atexit
import subprocess
import sys
import time
import urllib.error
import urllib.request
from typing import Any

from bench.peers.protocol import Actions, Missing, serve

READY_S = 180
# The cache holds a prompt of 700 tokens and its answer for each stream.
STREAM_TOKENS, BLOCK_TOKENS = 1024, 32


def load(options: dict[str, Any]) -> tuple[dict[str, Any], Actions]:
    base = f"http://127.0.0.1:{options['port']}"
    command = [sys.executable, "-m", "transformers.cli.transformers", "serve", options["model"]]
    command += ["--host", "127.0.0.1", "--port", str(options["port"]), "--device", "cpu", "--dtype", options["dtype"]]
    # Left to itself it gives its cache most of the machine's memory, and takes it: 13 GB here.
    command += ["--continuous-batching", "--cb-block-size", str(BLOCK_TOKENS)]
    command += ["--cb-num-blocks", str(options["streams"] * STREAM_TOKENS // BLOCK_TOKENS)]
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr)
    atexit.register(server.terminate)
    deadline = time.monotonic() + READY_S
    while True:
        try:
            urllib.request.urlopen(f"{base}/health", timeout=5).close()
            return {"base_url": base, "model": options["model"]}, {"running": lambda: server.poll() is None}
        except (urllib.error.URLError, OSError):
            if server.poll() is not None or time.monotonic() > deadline:
                raise Missing(f"the server did not start within {READY_S} s or ended; see its log") from None
            time.sleep(0.3)


if __name__ == "__main__":
    serve(load)
