"""The boxed process: reads files and cuts them into passages, one line of JSON per file on stdout.

Arguments: memory limit in bytes, CPU limit in seconds, `links` or `-`, then path, name, declared charset and
title of each file; a title overrides the one found inside.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from typing import Any

from apps.core.box.closing import close_the_box
from apps.knowledge.chunking import chunk_document
from apps.knowledge.extract import ExtractError, extract_file, page_links


def _read(path: str, name: str, charset: str, title: str, *, with_links: bool) -> dict[str, Any]:
    try:
        document = extract_file(path, name, charset=charset)
        document = dataclasses.replace(document, title=title or document.title)
        chunks = [dataclasses.astuple(draft) for draft in chunk_document(document)]
        links = page_links(path, charset) if with_links and document.format == "html" else []
        return {
            "title": document.title,
            "format": document.format,
            "flags": document.flags,
            "chunks": chunks,
            "links": links,
        }
    except ExtractError as error:
        return {"error": error.code, "message": error.message}
    except MemoryError:
        return {"error": "bomb_refused", "message": "The document needs too much memory."}
    except Exception:  # noqa: BLE001 hostile input: whatever a parser raises is a failed file, not a failed process
        return {"error": "extract_failed", "message": "The document could not be read."}


def main(arguments: list[str]) -> int:
    """Read every file named in `arguments`; one failure does not stop the rest."""
    memory, cpu, links, *rest = arguments
    close_the_box(int(memory), int(cpu), rest[0::4])
    for path, name, charset, title in zip(rest[0::4], rest[1::4], rest[2::4], rest[3::4], strict=True):
        result = _read(path, name, charset, title, with_links=links == "links")
        sys.stdout.write(json.dumps(result, ensure_ascii=True) + "\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
