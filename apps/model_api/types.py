"""Plain values of the model routes."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

SCOPE = "inference:use"
QUOTA = "tokens"


@dataclass(frozen=True, slots=True)
class Admission:
    """A call that may run: whose it is, and the permit it holds until `call_settle` ("": none)."""

    tenant_id: uuid.UUID
    permit: str = ""
