"""The boxed process: `read` writes a document's texts as JSON, `write` takes others from stdin and writes the file.

Arguments: memory limit in bytes, CPU limit in seconds, the step, the format, the path, the target language.
stdout begins with a line, "ok" or "refused"; what follows is the result, or code and message as JSON.
"""

from __future__ import annotations

import json
import sys

from apps.core.box.closing import close_the_box
from apps.translation.markup.box import parts_from, parts_plain
from apps.translation.markup.documents import DocumentRefused, document_read


def _result(step: str, kind: str, path: str, target: str, given: bytes) -> bytes:
    with open(path, "rb") as file:
        document = document_read(file.read(), kind)
    if step == "read":
        plain = [parts_plain(parts) for parts in document.segments]
        return json.dumps({"segments": plain}).encode()
    return document.written([parts_from(one) for one in json.loads(given)], target=target)


def main(arguments: list[str]) -> int:
    """Do the step; whatever a parser raises is a refusal of the file."""
    memory, cpu, step, kind, path, target = arguments
    given = sys.stdin.buffer.read()
    close_the_box(int(memory), int(cpu), [path])
    out = sys.stdout.buffer
    try:
        result = _result(step, kind, path, target, given)
    except DocumentRefused as error:
        refusal = (error.code, error.message)
    except MemoryError:
        refusal = ("bomb_refused", "The document needs too much memory.")
    except Exception:  # noqa: BLE001  (hostile input)
        refusal = ("extract_failed", "The document could not be read.")
    else:
        out.write(b"ok\n" + result)
        return 0
    out.write(b"refused\n" + json.dumps(refusal).encode())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
