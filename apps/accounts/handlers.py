"""What the sign-in library tells."""

from __future__ import annotations

from typing import Any

from allauth.account.signals import password_reset
from django.dispatch import receiver

from apps.accounts.models import User
from apps.accounts.services import account_prove


@receiver(password_reset, dispatch_uid="accounts.password_reset")
def _address_is_proven(user: User, **_: Any) -> None:
    """The link was mailed to the account's own address (AddressResetForm), and whoever knew the old password is out."""
    account_prove(user_id=user.id, actor=f"user:{user.id}")
