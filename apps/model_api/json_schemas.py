"""JSON schemas from outside, in a plain form that constrained decoding keeps.

The grammar libraries under the chat backends take a schema's text and fail in many ways: on keywords that contradict each
other they end the process that all answers come from, and others they ignore without a word, or turn into text that is
no JSON (xgrammar 0.1 as in OpenVINO GenAI 2026.4: bounds of decimal numbers, quotes in keys, `.` in patterns). So a schema
is rewritten here, keyword by keyword, into what was found to hold, and refused where that is not possible.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from apps.model_api.patterns import PatternRefused, pattern_plain

MAX_NODES = 500
MAX_DEPTH = 32
MAX_COUNT = 1000
# Lengths and patterns of all strings together. They are what takes time to prepare: a second or two for this much, in
# which no other answer goes on.
MAX_SPAN = 1000
MAX_BYTES = 32_768
_MAX_INTEGER = 2**53
_ANNOTATIONS = frozenset(
    (
        "title",
        "description",
        "default",
        "examples",
        "example",
        "deprecated",
        "readOnly",
        "writeOnly",
        "$comment",
        "$schema",
    )
)
# Formats whose text cannot leave the string that it stands in. Others are annotations, as the standard allows.
_FORMATS = frozenset(("date", "time", "date-time", "uuid", "ipv4", "ipv6", "hostname"))
_KEYWORDS: dict[str, frozenset[str]] = {
    "object": frozenset(("properties", "required", "additionalProperties")),
    "array": frozenset(("items", "prefixItems", "minItems", "maxItems")),
    "string": frozenset(("minLength", "maxLength", "pattern", "format")),
    "integer": frozenset(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")),
    "number": frozenset(),
    "boolean": frozenset(),
    "null": frozenset(),
}
_DEFS = ("$defs", "definitions")
_REF = re.compile(r"#/(\$defs|definitions)/([^/~%]+)")
# In a key the library writes these as they are, which ends the string or the process.
_UNSAFE_KEY = re.compile(r'["\\\x00-\x1f\x7f\ud800-\udfff]')
_SURROGATE = re.compile(r"[\ud800-\udfff]")


class SchemaRefused(ValueError):
    """The schema cannot be followed; the message names the place and says why."""


def schema_plain(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema whose documents all fit `schema`, in the plain form.

    Takes:  type (one or a list), enum, const, properties, required, additionalProperties, items, prefixItems, minItems,
            maxItems, minLength, maxLength, pattern, format, bounds of integers, anyOf, oneOf (as anyOf), allOf of one, and
            $ref to $defs or definitions of the same document. Annotations are
            dropped, and a format beside a pattern or lengths.
    Limits: 500 schemas inside one another, 32 deep, up to 1,000 items, lengths and patterns of 1,000 together, 32 KiB.
    Errors: SchemaRefused, which names the place.
    """
    try:
        plain = _Rewriter(schema).run()
        size_bytes = len(json.dumps(plain))
    except RecursionError:
        raise SchemaRefused("A value in the schema is nested too deeply.") from None
    if size_bytes > MAX_BYTES:
        raise SchemaRefused(f"The schema is larger than {MAX_BYTES} bytes.")
    return plain


class _Rewriter:
    """Rewrites one document. Definitions that are used get names of ours."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._nodes = self._span = 0
        self._names: dict[tuple[str, str], str] = {}
        self._definitions: dict[str, Any] = {}

    def run(self) -> dict[str, Any]:
        plain = self._schema({k: v for k, v in self._root.items() if k not in _DEFS}, "schema", 0)
        done = 0
        while done < len(self._names):
            group, name = list(self._names)[done]
            found = self._root.get(group)
            if not isinstance(found, Mapping) or name not in found:
                raise SchemaRefused(f"#/{group}/{name} is not defined.")
            target = f"d{done}"
            self._definitions[target] = self._schema(found[name], f"{group}.{name}", 1)
            done += 1
        self._check_circles()
        return {**plain, "$defs": self._definitions} if self._definitions else plain

    def _schema(self, node: Any, place: str, depth: int) -> dict[str, Any]:
        self._nodes += 1
        if self._nodes > MAX_NODES or depth > MAX_DEPTH:
            raise SchemaRefused(f"The schema has more than {MAX_NODES} parts or is nested deeper than {MAX_DEPTH}.")
        if node is True:
            return {}
        if not isinstance(node, Mapping):
            raise SchemaRefused(f"{place} must be a schema.")
        asked = {key: value for key, value in node.items() if key not in _ANNOTATIONS}
        for key, rewrite in self._WHOLE.items():
            if key in asked:
                return rewrite(self, asked, place, depth)
        if not asked:
            return {}
        types = _types(asked, place)
        allowed = frozenset(("type",)).union(*(_KEYWORDS[one] for one in types))
        for key in asked:
            if key not in allowed:
                raise SchemaRefused(f"{place}.{key} is not supported here.")
        parts = [self._typed(one, asked, place, depth) for one in types]
        return parts[0] if len(parts) == 1 else {"anyOf": parts}

    def _typed(self, kind: str, asked: Mapping[str, Any], place: str, depth: int) -> dict[str, Any]:
        mine = {key: value for key, value in asked.items() if key in _KEYWORDS[kind]}
        if kind == "object":
            return {"type": kind, **self._object(mine, place, depth)}
        if kind == "array":
            return {"type": kind, **self._array(mine, place, depth)}
        if kind == "string":
            plain, span = _string(mine, place)
            self._span += span
            if self._span > MAX_SPAN:
                raise SchemaRefused(f"{place}: the lengths and patterns of all strings add up to more than {MAX_SPAN}.")
            return {"type": kind, **plain}
        return {"type": kind, **(_integer(mine, place) if kind == "integer" else {})}

    def _object(self, asked: Mapping[str, Any], place: str, depth: int) -> dict[str, Any]:
        plain: dict[str, Any] = {}
        properties = asked.get("properties", {})
        if not isinstance(properties, Mapping):
            raise SchemaRefused(f"{place}.properties must be an object.")
        for key in properties:
            if _UNSAFE_KEY.search(key):
                raise SchemaRefused(f"{place}.properties has a name with a quote, backslash or control character.")
        required = asked.get("required", [])
        if not isinstance(required, list) or any(not isinstance(one, str) or one not in properties for one in required):
            raise SchemaRefused(f"{place}.required must list names of its properties.")
        if properties:
            plain["properties"] = {
                key: self._schema(value, f"{place}.properties.{key}"[:200], depth + 1)
                for key, value in properties.items()
            }
        if required:
            plain["required"] = required
        more = asked.get("additionalProperties", None)
        if more is not None:
            inner = f"{place}.additionalProperties"
            plain["additionalProperties"] = more if isinstance(more, bool) else self._schema(more, inner, depth + 1)
        return plain

    def _array(self, asked: Mapping[str, Any], place: str, depth: int) -> dict[str, Any]:
        plain: dict[str, Any] = {**_counts(asked, place, "minItems", "maxItems")}
        first = asked.get("prefixItems", [])
        if not isinstance(first, list):
            raise SchemaRefused(f"{place}.prefixItems must be a list.")
        if first:
            if min(plain.values(), default=len(first)) < len(first):
                raise SchemaRefused(f"{place} asks for fewer items than prefixItems has.")
            plain["prefixItems"] = [
                self._schema(one, f"{place}.prefixItems[{number}]", depth + 1) for number, one in enumerate(first)
            ]
        if first and asked.get("items") is False:
            plain["items"] = False
        else:
            # Without it the library allows no items beyond the first.
            plain["items"] = self._schema(asked.get("items", True), f"{place}.items", depth + 1)
        return plain

    def _any_of(self, asked: Mapping[str, Any], place: str, depth: int) -> dict[str, Any]:
        key = _alone(asked, ("anyOf", "oneOf"), place)
        options = asked[key]
        if not isinstance(options, list) or not 1 <= len(options) <= MAX_COUNT:
            raise SchemaRefused(f"{place}.{key} must be a list of schemas.")
        return {"anyOf": [self._schema(one, f"{place}.{key}[{n}]", depth + 1) for n, one in enumerate(options)]}

    def _all_of(self, asked: Mapping[str, Any], place: str, depth: int) -> dict[str, Any]:
        _alone(asked, ("allOf",), place)
        if not isinstance(asked["allOf"], list) or len(asked["allOf"]) != 1:
            raise SchemaRefused(f"{place}.allOf is supported with one schema only.")
        return self._schema(asked["allOf"][0], f"{place}.allOf[0]", depth + 1)

    def _reference(self, asked: Mapping[str, Any], place: str, depth: int) -> dict[str, Any]:
        _alone(asked, ("$ref",), place)
        found = _REF.fullmatch(asked["$ref"]) if isinstance(asked["$ref"], str) else None
        if found is None:
            raise SchemaRefused(f"{place}.$ref must be #/$defs/NAME or #/definitions/NAME.")
        key = (found[1], found[2])
        return {"$ref": f"#/$defs/{self._names.setdefault(key, f'd{len(self._names)}')}"}

    def _values(self, asked: Mapping[str, Any], place: str, depth: int) -> dict[str, Any]:
        key = _alone(asked, ("enum", "const"), place, beside=("type",))
        values = asked["enum"] if key == "enum" else [asked["const"]]
        if not isinstance(values, list) or not 1 <= len(values) <= MAX_COUNT:
            raise SchemaRefused(f"{place}.enum must be a list of 1 to {MAX_COUNT} values.")
        if "type" in asked:
            types = _types(asked, place)
            values = [value for value in values if any(_is_of(value, one) for one in types)]
        if not values or not all(_is_safe(value) for value in values):
            raise SchemaRefused(f"{place}.{key} has no value of its type, or one that cannot be written.")
        return {"enum": values}

    def _check_circles(self) -> None:
        """Refuse definitions that lead back to themselves before anything is written."""
        left = {name: set(_refers(node)) for name, node in self._definitions.items()}
        while free := [name for name, targets in left.items() if not targets & left.keys()]:
            for name in free:
                del left[name]
        if left:
            raise SchemaRefused("A definition refers to itself and to nothing else.")

    # Keywords that say all there is to say; the first that is found decides.
    _WHOLE: Mapping[str, Callable[[_Rewriter, Mapping[str, Any], str, int], dict[str, Any]]] = {
        "$ref": _reference,
        "enum": _values,
        "const": _values,
        "anyOf": _any_of,
        "oneOf": _any_of,
        "allOf": _all_of,
    }


def _refers(node: Mapping[str, Any]) -> list[str]:
    """Return the definitions that stand for the node itself, and not for a part of it."""
    if "$ref" in node:
        return [node["$ref"].rpartition("/")[2]]
    return [name for option in node.get("anyOf", ()) for name in _refers(option)]


def _alone(asked: Mapping[str, Any], keys: tuple[str, ...], place: str, *, beside: tuple[str, ...] = ()) -> str:
    """Return which of `keys` is there. Raises SchemaRefused when anything but `beside` stands next to it."""
    found = [key for key in asked if key not in beside]
    if len(found) != 1 or found[0] not in keys:
        extra = next(key for key in found if key not in keys or key != found[0])
        raise SchemaRefused(f"{place}.{extra} is not supported beside {keys[0]}.")
    return found[0]


def _types(asked: Mapping[str, Any], place: str) -> list[str]:
    given = asked.get("type")
    if given is None:
        fitting = [kind for kind in ("object", "array") if set(asked) <= _KEYWORDS[kind]]
        if not fitting:
            raise SchemaRefused(f"{place}.type is missing.")
        return fitting[:1]
    types = given if isinstance(given, list) else [given]
    if not types or any(not isinstance(one, str) or one not in _KEYWORDS for one in types):
        raise SchemaRefused(f"{place}.type must be one or more of {', '.join(_KEYWORDS)}.")
    return list(dict.fromkeys(types))


def _counts(asked: Mapping[str, Any], place: str, least: str, most: str) -> dict[str, int]:
    plain = {key: asked[key] for key in (least, most) if key in asked}
    for key, value in plain.items():
        if type(value) is not int or not 0 <= value <= MAX_COUNT:
            raise SchemaRefused(f"{place}.{key} must be a whole number up to {MAX_COUNT}.")
    if plain.get(least, 0) > plain.get(most, MAX_COUNT):
        raise SchemaRefused(f"{place}.{least} is larger than {most}.")
    return plain


def _string(asked: Mapping[str, Any], place: str) -> tuple[dict[str, Any], int]:
    """Return the keywords of a string, and how many positions they tell apart."""
    plain: dict[str, Any] = _counts(asked, place, "minLength", "maxLength")
    if "pattern" in asked:
        if plain:
            raise SchemaRefused(f"{place} may have a pattern or lengths, not both.")
        try:
            pattern, size = pattern_plain(asked["pattern"])
        except PatternRefused as error:
            raise SchemaRefused(f"{place}.pattern: {error}.") from None
        return {"pattern": pattern}, size
    if not plain and asked.get("format") in _FORMATS:
        return {"format": asked["format"]}, 0
    return plain, max(plain.values(), default=0)


def _integer(asked: Mapping[str, Any], place: str) -> dict[str, int]:
    low, high = -_MAX_INTEGER, _MAX_INTEGER
    for key, value in asked.items():
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if type(value) is not int or abs(value) > _MAX_INTEGER:
            raise SchemaRefused(f"{place}.{key} must be a whole number of at most 2^53.")
        shift = 1 if key.startswith("exclusive") else 0
        if key.endswith("inimum"):
            low = max(low, value + shift)
        else:
            high = min(high, value - shift)
    if low > high:
        raise SchemaRefused(f"{place} has no value between its bounds.")
    # Both or none: with one bound alone the library ends a number after its sign.
    return {"minimum": low, "maximum": high} if asked else {}


def _is_of(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return kind in {"integer", "number"}
    kinds = {str: "string", float: "number", list: "array", dict: "object", type(None): "null"}
    return kinds.get(type(value)) == kind


def _is_safe(value: Any) -> bool:
    """Whether the library writes a constant as it was given."""
    if isinstance(value, str):
        return _SURROGATE.search(value) is None
    if isinstance(value, list):
        return all(_is_safe(one) for one in value)
    if isinstance(value, dict):
        return all(not _UNSAFE_KEY.search(key) and _is_safe(one) for key, one in value.items())
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or abs(value) <= _MAX_INTEGER
