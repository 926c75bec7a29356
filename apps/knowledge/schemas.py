"""Bodies of the knowledge routes."""

from __future__ import annotations

from typing import Any

from ninja import Schema


class SourceIn(Schema):
    """A page to crawl, or a text to keep."""

    url: str | None = None
    title: str | None = None
    text: str | None = None
    collection: str | None = None


class VectorsIn(Schema):
    """Whether the change to another encoder waits."""

    paused: bool


# One route takes a form with files or JSON: said here, since the generator knows one body per route.
SOURCE_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {"type": "array", "items": {"type": "string", "format": "binary"}},
                        "collection": {"type": "string"},
                    },
                }
            },
            "application/json": {
                "schema": {
                    "oneOf": [
                        {
                            "type": "object",
                            "required": ["url"],
                            "properties": {"url": {"type": "string"}, "collection": {"type": "string"}},
                        },
                        {
                            "type": "object",
                            "required": ["title", "text"],
                            "properties": {
                                "title": {"type": "string"},
                                "text": {"type": "string"},
                                "collection": {"type": "string"},
                            },
                        },
                    ]
                }
            },
        },
    }
}
