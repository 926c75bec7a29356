"""How /api/v1 reads requests: every text of body, form and query is one that can be stored, or the request is refused."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.utils.datastructures import MultiValueDict
from ninja.parser import Parser

from apps.core.errors import Invalid
from apps.core.texts import json_read, texts_check

# What is given to a model and kept nowhere is read whatever it is: a halved pair becomes one other character.
_MODEL_TEXTS = ("text", "texts")
_MODEL_TEXTS_BELOW = "/api/v1/nlp/"


class TextParser(Parser):
    """Refuses NUL and halves of surrogate pairs with 422 "text_invalid", wherever they stand."""

    def parse_body(self, request: HttpRequest) -> Any:
        """Return the JSON body. Raises Invalid."""
        kept = _MODEL_TEXTS if request.path.startswith(_MODEL_TEXTS_BELOW) else ()
        try:
            return json_read(request.body, kept=kept)
        except Invalid as error:
            if error.code == "malformed":
                error.status = 400
            raise

    def parse_querydict(self, data: MultiValueDict, list_fields: list[str], request: HttpRequest) -> dict[str, Any]:
        """Return the fields of a query or form. Raises Invalid."""
        fields = super().parse_querydict(data, list_fields, request)
        texts_check(fields)
        return fields
