"""Accounts: whose an address is, and when that was shown."""

from __future__ import annotations

import secrets
import uuid

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction

from apps.accounts.models import Membership, User
from apps.accounts.types import AccountVerified
from apps.core.clock import now
from apps.core.errors import Invalid, NotFound
from apps.core.tenancy import tenant_scope
from apps.events.services import audit_record


def address_normal(email: str) -> str:
    """Return the address as accounts are kept under it. Raises Invalid "email_invalid"."""
    try:
        validate_email(email)
    except ValidationError:
        raise Invalid("This is not an e-mail address.", code="email_invalid") from None
    return email.lower()


def password_check(password: str, *, email: str, name: str) -> None:
    """Raise Invalid "password_weak" unless the installation's rules for passwords allow this one for this person."""
    try:
        validate_password(password, User(email=email, name=name))
    except ValidationError as error:
        raise Invalid(" ".join(error.messages), code="password_weak") from None


def account_prove(*, user_id: uuid.UUID, actor: str) -> bool:
    """Note that the account's address is this person's; returns False where that was known.

    Effects: an audit row in each of the account's organisations. Callers have seen the proof: a link that was mailed to
    the address, after which nobody else knows the password, or the operator's word.
    """
    with transaction.atomic():
        if not User.objects.filter(id=user_id, email_verified_at=None).update(email_verified_at=now()):
            return False
        for tenant_id in Membership.objects.filter(user_id=user_id).values_list("tenant_id", flat=True):
            with tenant_scope(tenant_id):
                audit_record(action="account.verified", actor=actor, target=str(user_id))
    return True


def account_verify(*, email: str, new_password: bool = False, actor: str = "") -> AccountVerified:
    """Prove an address by the operator's word, with a new random password if asked for: that ends every session, and
    whatever password somebody else knew. Raises NotFound. Only commands call this."""
    with transaction.atomic():
        user = User.objects.select_for_update().filter(email=email.lower()).first()
        if user is None:
            raise NotFound("There is no account with this address.")
        password = secrets.token_urlsafe(15) if new_password else None
        if password:
            user.set_password(password)
            user.save(update_fields=["password"])
        return AccountVerified(user.email, account_prove(user_id=user.id, actor=actor), password)
