"""Links to a passage of an upload: a signature is the right to read that passage in place."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from urllib.parse import quote

from django.core import signing
from django.urls import reverse

from apps.core.errors import NotFound

MAX_AGE_S = 30 * 24 * 3600
"""As long as a visitor's token lives."""

_signer = signing.TimestampSigner(salt="passage")


@dataclass(frozen=True, slots=True)
class PassageRef:
    """A passage by place and content: ids of passages change when a document is read again."""

    tenant_id: uuid.UUID
    document_id: uuid.UUID
    ordinal: int
    text_sha256: str


def passage_url(ref: PassageRef) -> str:
    """Return the path of the page that shows the passage, with the signature and the fragment that leads to it."""
    value = f"{ref.tenant_id.hex}.{ref.document_id.hex}.{ref.ordinal}.{ref.text_sha256[:16]}"
    return f"{reverse('knowledge:passage')}?t={quote(_signer.sign(value), safe='')}#passage"


def passage_token_read(token: str) -> PassageRef:
    """Return what a link's token names. Raises NotFound for one that was not made here or is too old."""
    try:
        tenant, document, ordinal, digest = _signer.unsign(token, max_age=MAX_AGE_S).split(".")
        return PassageRef(uuid.UUID(tenant), uuid.UUID(document), int(ordinal), digest)
    except (signing.BadSignature, ValueError):
        raise NotFound("The link is not valid any more.", code="link_invalid") from None
