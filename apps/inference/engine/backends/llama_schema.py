"""JSON schemas for llama.cpp: checked before it starts, and watched while it writes.

llama.cpp goes on without any constraint when its grammar library, llguidance, cannot read a schema or runs into a limit
(ggml-org/llama.cpp#19051). So the schema is tried with the same library first, and what is written is read along with it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from llguidance import LLMatcher, LLTokenizer

MAX_SCHEMA_BYTES = 32768


class SchemaError(ValueError):
    """The schema cannot be followed; the message says why."""


class SchemaWatch:
    """Reads a growing text along with its schema."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        """Raises SchemaError."""
        # {} asks for any object, as OpenAI's `json_object` does.
        self.schema = dict(schema) or {"type": "object"}
        try:
            source = json.dumps(self.schema)
        except RecursionError:
            raise SchemaError("the schema is nested too deeply") from None
        if len(source) > MAX_SCHEMA_BYTES:
            raise SchemaError(f"the schema is longer than {MAX_SCHEMA_BYTES} bytes")
        grammar = LLMatcher.grammar_from_json_schema(source)
        failed, messages = LLMatcher.validate_grammar_with_warnings(grammar)
        if failed:
            raise SchemaError(f"the schema cannot be followed: {'; '.join(messages)[:300]}")
        self._matcher = LLMatcher(LLTokenizer("byte"), grammar, log_level=0)

    def follows(self, text: str) -> bool:
        """Take more text; False when it leaves the schema."""
        raw = list(text.encode())
        return bool(self._matcher.try_consume_tokens(raw) == len(raw))

    def complete(self) -> bool:
        """Return whether the text so far is a whole document of the schema."""
        return bool(self._matcher.is_accepting())
