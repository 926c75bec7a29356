"""Personal data out of a text: masked for ever, or replaced by tokens that the holder of the mapping can turn back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field

from apps.core.errors import Invalid
from apps.inference.services import tag_texts
from apps.inference.types import Span
from apps.translation.services.language import languages_of
from apps.translation.types import Call, Options, Outcome

MODEL = "presidio-pii"
_PRESIDIO = {
    "person": "PERSON",
    "place": "LOCATION",
    "email": "EMAIL_ADDRESS",
    "phone": "PHONE_NUMBER",
    "credit_card": "CREDIT_CARD",
    "iban": "IBAN_CODE",
    "ip_address": "IP_ADDRESS",
    "crypto_wallet": "CRYPTO",
    "medical_license": "MEDICAL_LICENSE",
}
_TYPES = {label: name for name, label in _PRESIDIO.items()}
# Numbers that states give out; which ones depends on the language.
NATIONAL_ID = "national_id"
TYPES = (*_PRESIDIO, NATIONAL_ID)
_SURE = 0.7


class RedactOptions(Options):
    """`types`: which kinds (all); `mode`: "mask" for `[person]`, "token" for `[person_1]` with a `mapping` to restore."""

    types: list[str] = Field(default=[], max_length=40)
    mode: Literal["mask", "token"] = "mask"
    language: str = Field(default="", max_length=10)


def run(call: Call, texts: Sequence[str], options: RedactOptions) -> list[Outcome]:
    """Return `{"text", "entities", "language"}` for each text, with `mapping` in the mode "token".

    The same value gets the same token within a text. Masking is not perfect: its recall on a named set is in
    docs/guide/nlp-quality.md. Names are found in English; numbers and addresses in all languages of the model.
    Errors: Invalid "type_unknown".
    """
    unknown = sorted(set(options.types) - set(TYPES))
    if unknown:
        raise Invalid(f"There is no type {unknown[0]!r}.", code="type_unknown", details={"types": list(TYPES)})
    languages = [options.language] * len(texts) if options.language else _languages(texts)
    found = tag_texts(
        list(zip(texts, languages, strict=True)),
        tenant_id=call.tenant_id,
        deadline_s=call.left_s(),
        priority=call.priority,
        model=MODEL,
    )
    outcomes: list[Outcome] = []
    for text, language, spans, index in zip(texts, languages, found.spans, range(len(texts)), strict=True):
        if index in found.truncated:
            # What was not read may hold anything: nothing half masked leaves.
            outcomes.append(Invalid("The text is too long to be masked as a whole.", code="text_too_long"))
            continue
        outcomes.append(_redacted(text, spans, options) | {"language": language})
    return outcomes


def _languages(texts: Sequence[str]) -> list[str]:
    """Return for each text the language whose rules to read by; "und" where it is not sure: then all."""
    return [language if sure >= _SURE else "und" for language, sure in languages_of(texts)]


def type_of(label: str) -> str:
    """Return our name of a recogniser's label."""
    return _TYPES.get(label, NATIONAL_ID)


def _redacted(text: str, spans: Sequence[Span], options: RedactOptions) -> dict[str, Any]:
    pieces, begin = [], 0
    tokens: dict[tuple[str, str], str] = {}
    entities = []
    for span in spans:
        kind = type_of(span.label)
        if options.types and kind not in options.types:
            continue
        number = 1 + sum(one == kind for one, _ in tokens)
        token = tokens.setdefault((kind, span.text), f"[{kind}_{number}]") if options.mode == "token" else f"[{kind}]"
        pieces += [text[begin : span.start], token]
        begin = span.end
        entities.append(
            {"text": span.text, "type": kind, "start": span.start, "end": span.end, "score": span.score, "token": token}
        )
    result: dict[str, Any] = {"text": "".join([*pieces, text[begin:]]), "entities": entities}
    if options.mode == "token":
        result["mapping"] = {token: value for (_, value), token in tokens.items()}
    return result
