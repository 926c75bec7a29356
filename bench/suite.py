"""One suite in a process of its own: `python -m bench.suite NAME ROUNDS` prints its cases as one line of JSON.

It ends, with everything that it started, when it is told to or when its stdin ends, which is when its parent has.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import threading

from bench.progress import say


def _end(_number: int, _frame: object) -> None:
    say("told to end")
    raise SystemExit(128 + signal.SIGTERM)


def _watch_stdin() -> None:
    # Not through sys.stdin, whose lock would be in the way when the interpreter ends.
    while os.read(0, 4096):
        pass
    say("the bench has ended; so does its suite")
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> None:
    """Run the suite."""
    name, rounds = sys.argv[1], int(sys.argv[2])
    signal.signal(signal.SIGTERM, _end)
    threading.Thread(target=_watch_stdin, daemon=True).start()
    print(json.dumps(importlib.import_module(f"bench.{name}").run(rounds)), flush=True)


if __name__ == "__main__":
    main()
