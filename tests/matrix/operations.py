"""What the API offers, read from its own OpenAPI document: a new route is in every matrix test by itself."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from typing import Any

from nlpsuite.api import api

SCHEMA = api.get_openapi_schema(path_prefix="/api/v1/")
# Fields that are a string by type but mean something narrower.
SAMPLES = {
    "original": None,
    "scopes": ["conversations:read"],
    "role": "agent",
    "labels": ["x"],
    "assignee_id": None,
    "client_id": str(uuid.uuid4()),
    "status": "open",
    "handler": "bot",
    "stream": False,
    "inbox": None,
    # A proof that proves nothing is refused like a missing scope.
    "identity": None,
    "accent": "#2f5bea",
    "locale": "en",
    "source": "en",
    "target": "pt",
}


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path. `path` starts behind /api/v1."""

    method: str
    path: str
    spec: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def path_parameters(self) -> list[str]:
        return re.findall(r"\{(\w+)\}", self.path)

    @property
    def query_parameters(self) -> dict[str, dict[str, Any]]:
        return {p["name"]: p["schema"] for p in self.spec.get("parameters", []) if p["in"] == "query"}

    @property
    def body_schema(self) -> dict[str, Any] | None:
        content = self.spec.get("requestBody", {}).get("content", {})
        return content.get("application/json", {}).get("schema")

    def body(self) -> Any:
        """A body that passes validation, or None for an operation that takes none."""
        return sample(self.body_schema) if self.body_schema else None

    def fill(self, ids: dict[str, str]) -> str:
        return self.path.format(**ids)


def resolve(schema: dict[str, Any]) -> dict[str, Any]:
    """Follow a reference."""
    while "$ref" in schema:
        schema = SCHEMA["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    return schema


def sample(schema: dict[str, Any], name: str = "") -> Any:
    """A value that the schema allows, all properties included."""
    schema = resolve(schema)
    if name in SAMPLES:
        return SAMPLES[name]
    for choice in ("oneOf", "anyOf", "allOf"):
        if choice in schema:
            return sample(schema[choice][-1] if choice == "oneOf" else schema[choice][0], name)
    if "enum" in schema or "const" in schema:
        return schema.get("const", schema.get("enum", [None])[0])
    if schema.get("type") == "object" or "properties" in schema:
        return {key: sample(value, key) for key, value in schema.get("properties", {}).items()}
    if schema.get("type") == "array":
        return []
    return {"string": "x", "integer": 1, "number": 1, "boolean": False}.get(schema.get("type", "string"))


def body_properties(schema: dict[str, Any] | None) -> set[str]:
    """Names of all properties of a body, nested ones too."""
    if schema is None:
        return set()
    schema = resolve(schema)
    found: set[str] = set()
    for choice in ("oneOf", "anyOf", "allOf"):
        for option in schema.get(choice, []):
            found |= body_properties(option)
    for key, value in schema.get("properties", {}).items():
        found |= {key} | body_properties(value)
    if "items" in schema:
        found |= body_properties(schema["items"])
    return found


OPERATIONS = [
    Operation(method.upper(), path.removeprefix("/api/v1"), spec)
    for path, methods in SCHEMA["paths"].items()
    for method, spec in methods.items()
]
WITH_IDS = [operation for operation in OPERATIONS if operation.path_parameters]
