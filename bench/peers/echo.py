"""A player without a model, for the tests of the harness. Options: `load`, "well" or "missing"."""

from __future__ import annotations

import os
import time
from typing import Any

from bench.peers.protocol import Actions, Missing, serve


def load(options: dict[str, Any]) -> tuple[dict[str, Any], Actions]:
    if options["load"] == "missing":
        raise Missing("no such model")

    def chatter(value: int) -> int:
        print("a library says something")
        os.system("echo so does its child")
        return value

    def fail() -> None:
        raise ValueError("bad")

    return options, {
        "double": lambda value: value * 2,
        "chatter": chatter,
        "fail": fail,
        "die": lambda: os._exit(3),
        "hang": lambda: time.sleep(60),
        "pid": os.getpid,
    }


if __name__ == "__main__":
    serve(load)
