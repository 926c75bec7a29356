"""The child's side: one JSON object a line.

In:   {"do": action, ...its arguments}
Out:  first {"ready": {...}} or {"missing": why}, then one {"result": ...} or {"error": why} for each line.
A closed stdin ends the process.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any, TextIO

Actions = Mapping[str, Callable[..., Any]]


class Missing(Exception):
    """This peer cannot be measured here; the message says why."""


def serve(load: Callable[[dict[str, Any]], tuple[dict[str, Any], Actions]]) -> None:
    """Load with the options of the command line, then answer until stdin ends.

    `load` returns what is told once ready, and the actions. Whatever libraries print goes to stderr.
    """
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    try:
        told, actions = load(json.loads(sys.argv[1]))
    except (Missing, ImportError) as error:
        _send(out, {"missing": str(error)})
        return
    except Exception as error:
        _send(out, {"missing": f"{type(error).__name__}: {error}"})
        raise
    _send(out, {"ready": told})
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            answer = {"result": actions[asked.pop("do")](**asked)}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        _send(out, answer)


def _send(out: TextIO, value: dict[str, Any]) -> None:
    out.write(json.dumps(value) + "\n")
    out.flush()
