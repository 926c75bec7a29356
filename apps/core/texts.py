"""Texts from outside that nothing of ours can keep: PostgreSQL stores no NUL, and no encoder writes half a surrogate pair.

JSON can spell both, and NUL comes through queries and forms too. They are refused where a request is read, before a
service has begun to work with them.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Collection, Mapping
from typing import Any

from django.http import HttpRequest, QueryDict
from django.http.multipartparser import MultiPartParserError

from apps.core.errors import Invalid

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
# Letters and signs that show nothing: the fillers of Hangul, the empty cell of Braille.
_BLANK = frozenset("\u115f\u1160\u2800\u3164\uffa0")
# In JSON they are always written as an escape: as themselves, the one is a control character and the others no UTF-8.
_SUSPICIOUS = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")


def texts_check(value: Any, *, kept: Collection[str] = ()) -> None:
    """Look through a value as JSON has them, names of fields too, however deep.

    kept:   fields of the outermost object that are not looked at.
    Errors: Invalid "text_invalid" for NUL or half of a surrogate pair; `details` name the field.
    """
    waiting: list[tuple[str, Any]] = [("", value)]
    if kept and isinstance(value, Mapping):
        waiting = [("", {name: one for name, one in value.items() if name not in kept})]
    while waiting:
        place, found = waiting.pop()
        if isinstance(found, str):
            if _UNSTORABLE.search(found):
                raise _refused(place)
        elif isinstance(found, Mapping):
            for name, one in found.items():
                if _UNSTORABLE.search(name):
                    raise _refused(place)
                waiting.append((f"{place}.{name}" if place else name, one))
        elif isinstance(found, list | tuple):
            waiting.extend((f"{place}.{number}" if place else str(number), one) for number, one in enumerate(found))


def _refused(place: str) -> Invalid:
    details = [{"field": place[:200], "message": "NUL or half of a surrogate pair"}]
    return Invalid("A text has characters that cannot be stored.", code="text_invalid", details=details)


def json_read(raw: bytes, *, kept: Collection[str] = ()) -> Any:
    """Return the value of a JSON body in UTF-8, looked through by `texts_check`.

    Errors: Invalid "malformed" when it is no JSON or nested too deeply; Invalid "text_invalid".
    """
    try:
        value = json.loads(raw.decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise Invalid("The body is not JSON.", code="malformed") from None
    if _SUSPICIOUS.search(raw):
        texts_check(value, kept=kept)
    return value


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def form_read(request: HttpRequest) -> QueryDict:
    """Return the fields of a form, looked through. Raises Invalid "malformed" and "text_invalid"."""
    try:
        form = request.POST
    except MultiPartParserError:
        raise Invalid("The form could not be read.", code="malformed") from None
    texts_check(dict(form.lists()))
    return form


def is_visible(text: str) -> bool:
    """Return whether a text shows anything: not only spaces, controls, joiners, selectors and marks without a letter."""
    return any(
        character not in _BLANK
        and unicodedata.category(character) not in ("Mn", "Me", "Cf", "Cc", "Cn", "Zs", "Zl", "Zp")
        for character in text
    )
