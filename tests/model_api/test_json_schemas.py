"""Schemas from outside: rewritten into what constrained decoding keeps, or refused with their place."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from apps.model_api.json_schemas import SchemaRefused, schema_plain
from apps.model_api.patterns import PatternRefused, pattern_plain


def nested(depth: int, kind: str = "array") -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "integer"}
    for _ in range(depth):
        schema = {"type": kind, "items": schema}
    return schema


@pytest.mark.parametrize(
    ("given", "plain"),
    [
        ({}, {}),
        ({"type": "integer", "title": "T", "description": "D", "default": 1}, {"type": "integer"}),
        ({"type": ["string", "null"]}, {"anyOf": [{"type": "string"}, {"type": "null"}]}),
        ({"const": "x"}, {"enum": ["x"]}),
        ({"type": "integer", "enum": ["a", 1, True]}, {"enum": [1]}),
        ({"oneOf": [{"type": "null"}, {"type": "boolean"}]}, {"anyOf": [{"type": "null"}, {"type": "boolean"}]}),
        ({"allOf": [{"type": "null"}]}, {"type": "null"}),
        ({"type": "integer", "exclusiveMinimum": 4, "maximum": 9.0}, {"type": "integer", "minimum": 5, "maximum": 9}),
        ({"type": "integer", "minimum": -5}, {"type": "integer", "minimum": -5, "maximum": 2**53}),
        ({"type": "array"}, {"type": "array", "items": {}}),
        ({"items": {"type": "null"}}, {"type": "array", "items": {"type": "null"}}),
        ({"type": "string", "format": "date"}, {"type": "string", "format": "date"}),
        ({"type": "string", "format": "email", "maxLength": 9}, {"type": "string", "maxLength": 9}),
        (
            {"properties": {"a": True}, "required": ["a"], "additionalProperties": False},
            {"type": "object", "properties": {"a": {}}, "required": ["a"], "additionalProperties": False},
        ),
        (
            {"$defs": {"x/y": {}, "n": {"type": "null"}}, "type": "array", "items": {"$ref": "#/$defs/n"}},
            {"type": "array", "items": {"$ref": "#/$defs/d0"}, "$defs": {"d0": {"type": "null"}}},
        ),
        (
            {
                "definitions": {"n": {"type": "object", "properties": {"n": {"$ref": "#/definitions/n"}}}},
                "$ref": "#/definitions/n",
            },
            {"$ref": "#/$defs/d0", "$defs": {"d0": {"type": "object", "properties": {"n": {"$ref": "#/$defs/d0"}}}}},
        ),
    ],
    ids=lambda value: json.dumps(value)[:50],
)
def test_a_schema_is_brought_into_a_plain_form(given: dict[str, Any], plain: dict[str, Any]) -> None:
    assert schema_plain(given) == plain
    assert schema_plain(plain) == plain


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ({"type": "nonsense"}, "schema.type"),
        ({"type": []}, "schema.type"),
        ({"type": {}}, "schema.type"),
        ({"minLength": 3}, "schema.type"),
        ({"properties": 5}, "schema.properties"),
        ({"type": "object", "properties": {"a": 5}}, "schema.properties.a"),
        ({"type": "object", "properties": {"a": False}}, "schema.properties.a"),
        ({"type": "object", "properties": {'a"b': {}}}, "schema.properties"),
        ({"type": "object", "properties": {"a\\b": {}}}, "schema.properties"),
        ({"type": "object", "properties": {"a\nb": {}}}, "schema.properties"),
        ({"type": "object", "properties": {"\ud800": {}}}, "schema.properties"),
        ({"type": "object", "required": ["a"]}, "schema.required"),
        ({"type": "object", "properties": {"a": {}}, "required": "a"}, "schema.required"),
        ({"type": "object", "minProperties": 1}, "schema.minProperties"),
        ({"type": "object", "patternProperties": {"a": {}}}, "schema.patternProperties"),
        ({"type": "array", "uniqueItems": True}, "schema.uniqueItems"),
        ({"type": "array", "contains": {}}, "schema.contains"),
        ({"type": "array", "minItems": 3, "maxItems": 2}, "schema.minItems"),
        ({"type": "array", "minItems": 10**6}, "schema.minItems"),
        ({"type": "array", "minItems": True}, "schema.minItems"),
        ({"type": "array", "prefixItems": [{}, {}], "maxItems": 1}, "schema"),
        ({"type": "array", "prefixItems": {}}, "schema.prefixItems"),
        ({"type": "array", "items": False}, "schema.items"),
        ({"type": "string", "minLength": 5, "maxLength": 2}, "schema.minLength"),
        ({"type": "string", "minLength": -1}, "schema.minLength"),
        ({"type": "string", "maxLength": 10**9}, "schema.maxLength"),
        ({"type": "string", "pattern": "a", "maxLength": 2}, "schema"),
        ({"type": "string", "pattern": "(((("}, "schema.pattern"),
        ({"type": "string", "pattern": "[a-z]{1,5000}"}, "schema"),
        ({"type": "string", "pattern": "((a{1,90}){1,90}){1,90}"}, "schema"),
        ({"type": "integer", "minimum": 1.5}, "schema.minimum"),
        ({"type": "integer", "minimum": 10**30}, "schema.minimum"),
        ({"type": "integer", "minimum": "1"}, "schema.minimum"),
        ({"type": "integer", "minimum": 5, "exclusiveMaximum": 5}, "schema"),
        ({"type": "integer", "multipleOf": 3}, "schema.multipleOf"),
        ({"type": "number", "minimum": 0.5}, "schema.minimum"),
        ({"enum": []}, "schema.enum"),
        ({"enum": "abc"}, "schema.enum"),
        ({"enum": [10**40]}, "schema.enum"),
        ({"enum": ["\ud800"]}, "schema.enum"),
        ({"type": "integer", "enum": ["a"]}, "schema.enum"),
        ({"const": {'a"': 1}}, "schema.const"),
        ({"const": 1, "minimum": 2}, "schema.minimum"),
        ({"anyOf": []}, "schema.anyOf"),
        ({"anyOf": [{"type": "x"}]}, "schema.anyOf[0].type"),
        ({"type": "object", "anyOf": [{}]}, "schema.type"),
        ({"anyOf": [{}], "oneOf": [{}]}, "schema.oneOf"),
        ({"allOf": [{}, {}]}, "schema.allOf"),
        ({"not": {}}, "schema.type"),
        ({"$ref": "#"}, "schema.$ref"),
        ({"$ref": "http://127.0.0.1/x.json"}, "schema.$ref"),
        ({"$ref": 5}, "schema.$ref"),
        ({"$ref": "#/$defs/x"}, "#/$defs/x"),
        ({"$ref": "#/$defs/x", "$defs": {"x": {}}, "type": "null"}, "schema.type"),
        ({"$ref": "#/$defs/x", "$defs": {"x": {"$ref": "#/$defs/x"}}}, "A definition"),
        (
            {
                "$ref": "#/$defs/x",
                "$defs": {"x": {"anyOf": [{"anyOf": [{"$ref": "#/$defs/y"}]}]}, "y": {"$ref": "#/$defs/x"}},
            },
            "A definition",
        ),
        (nested(40), "The schema"),
        ({"type": "object", "properties": {f"p{n}": {} for n in range(600)}}, "The schema"),
        (
            {"type": "object", "properties": {f"p{n}": {"type": "string", "maxLength": 30} for n in range(40)}},
            "schema.properties.p33",
        ),
        ({"enum": ["x" * 40_000]}, "The schema"),
    ],
    ids=lambda value: str(value)[:70],
)
def test_what_would_not_hold_is_refused_with_its_place(given: dict[str, Any], place: str) -> None:
    with pytest.raises(SchemaRefused) as caught:
        schema_plain(given)
    assert str(caught.value).startswith(place)


def test_a_value_of_any_depth_is_refused_and_no_crash() -> None:
    value: Any = 1
    for _ in range(5000):
        value = [value]
    with pytest.raises(SchemaRefused):
        schema_plain({"const": value})


def test_many_references_take_no_longer_than_few() -> None:
    """Each definition names the next twice: paths double with each, definitions do not."""
    definitions = {f"n{n}": {"anyOf": [{"$ref": f"#/$defs/n{n + 1}"}] * 2} for n in range(60)}
    plain = schema_plain({"$ref": "#/$defs/n0", "$defs": {**definitions, "n60": {"type": "null"}}})
    assert len(plain["$defs"]) == 61


# -- patterns --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("pattern", "fitting", "other"),
    [
        (r"^[a-z]{3}-\d+$", "abc-12", "ab-12"),
        (r"\w+@\w+\.com", "a_1@b.com", "a@bxcom"),
        (r"(?:a|b)?c{2,}", "acc", "ac"),
        (r"^(foo|bar)(baz){0,2}$", "foobazbaz", "baz"),
        (r"[\]\-a+*?.]{2}", "]-", "b"),
        (r"\(\d{3}\)", "(123)", "123"),
        (r"é好{2}", "é好好", "é好"),
        (r"a*?b+?", "aab", "a"),
        (r"x{0}y", "y", "xy"),
        (r"", "", "x"),
    ],
)
def test_a_pattern_means_the_same_in_its_plain_form(pattern: str, fitting: str, other: str) -> None:
    plain, _ = pattern_plain(pattern)
    assert re.fullmatch(plain, fitting)
    assert not re.fullmatch(plain, other)
    assert re.search(pattern, fitting)


@pytest.mark.parametrize(
    "pattern",
    [
        ".",
        r"\s",
        r"\S",
        r"\D",
        r"\W",
        r"[^a]",
        r"[ -~]",
        r"[\x00-z]",
        'a"',
        r"\\",
        r"\n",
        r"\x7f",
        r"\ud800",
        "(?=a)b",
        "(?<!a)b",
        r"(a)\1",
        "(?P<x>a)",
        "(?i)a",
        "(?i:a)",
        r"\bword",
        "a$b",
        "a||b",
        "(",
        r"\p{L}",
        "a{99999999999}",
        "a" * 600,
        5,
        None,
    ],
    ids=repr,
)
def test_a_pattern_that_could_leave_its_string_is_refused(pattern: Any) -> None:
    with pytest.raises(PatternRefused):
        pattern_plain(pattern)


@pytest.mark.parametrize(
    ("pattern", "size"), [("abc", 3), ("a{5}", 5), ("(ab){2,4}", 8), ("a*", 1), ("(a{9}){9}", 81), ("a|bc", 3)]
)
def test_the_size_of_a_pattern_counts_repetitions_out(pattern: str, size: int) -> None:
    assert pattern_plain(pattern)[1] == size
