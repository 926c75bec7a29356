"""Who looks after the installation."""

from __future__ import annotations

from apps.accounts.models import User
from apps.core.errors import Conflict, NotFound


def operator_set(*, email: str, operator: bool = True) -> None:
    """Make an account an operator of the installation, or end that. Only commands call this.

    Raises NotFound; Conflict "address_unproven": an organisation made that account, and may know its password.
    """
    account = User.objects.filter(email=email.lower())
    if not account.exists():
        raise NotFound("There is no account with this address.")
    if operator and not account.exclude(email_verified_at=None).exists():
        raise Conflict(
            "Nobody has shown that this address is the account holder's. Prove it first: manage.py account_verify.",
            code="address_unproven",
        )
    account.update(is_staff=operator)
