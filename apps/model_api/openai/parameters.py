"""Parameters of OpenAI's routes that we do not have: ignored where that changes no result, refused where it would."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from apps.core.errors import Invalid

# Say something about the caller, or how to bill, cache or speed up a request: never what comes out.
IGNORED = frozenset(
    {
        "user",
        "metadata",
        "service_tier",
        "safety_identifier",
        "prompt_cache_key",
        "prompt_cache_retention",
        "prediction",
        "parallel_tool_calls",
    }
)


def _empty(value: Any) -> bool:
    return value in ([], {}, "", False)


def _is(*values: Any) -> Callable[[Any], bool]:
    return lambda value: any(value == allowed and type(value) is type(allowed) for allowed in values)


# What we do not do, and the values that do not ask for it.
REFUSED: Mapping[str, Callable[[Any], bool]] = {
    "tools": _empty,
    "tool_choice": _is("none", "auto"),
    "functions": _empty,
    "function_call": _is("none", "auto"),
    "logit_bias": _empty,
    "audio": _empty,
    "modalities": _is(["text"]),
    "store": _empty,
    "reasoning_effort": _is("none"),
    "verbosity": _is("medium"),
    "web_search_options": _empty,
    "echo": _empty,
    "suffix": _empty,
    "ignore_eos": _empty,
    "min_tokens": _is(0),
    "skip_special_tokens": _is(True),
}


def known_parameters(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of `body` that mean something here. null means "not given".

    Errors: Invalid "unsupported_parameter" with the `param`, for what we do not do.
    """
    kept = {}
    for name, value in body.items():
        if value is None or name in IGNORED:
            continue
        if name not in REFUSED:
            kept[name] = value
        elif not REFUSED[name](value):
            raise Invalid(
                f"{name!r} is not supported with this value.", code="unsupported_parameter", details={"param": name}
            )
    return kept
