"""Refusals that several doors give."""

from __future__ import annotations

from apps.core.errors import Conflict, NotFound


def invitation_invalid() -> NotFound:
    """The one refusal of a token, so that an answer tells nothing of invitations that one does not hold."""
    return NotFound("This invitation does not exist, was used, withdrawn or has expired.", code="invitation_invalid")


def sign_in_required() -> Conflict:
    """The address has an account, and nobody is signed in."""
    return Conflict("This address has an account: sign in with it to accept.", code="sign_in_required")


def wrong_account() -> Conflict:
    """Somebody else is signed in."""
    return Conflict("You are signed in with another address: sign out to accept.", code="wrong_account")
