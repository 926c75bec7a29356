"""Who looks after the installation."""

from __future__ import annotations

from apps.accounts.models import User
from apps.core.errors import NotFound


def operator_set(*, email: str, operator: bool = True) -> None:
    """Make an account an operator of the installation, or end that. Raises NotFound. Only commands call this."""
    if not User.objects.filter(email=email.lower()).update(is_staff=operator):
        raise NotFound("There is no account with this address.")
