"""Writes on users, memberships, invitations, keys and credentials."""

from apps.accounts.services.accounts import account_prove, account_verify
from apps.accounts.services.api_keys import api_key_create, api_key_revoke
from apps.accounts.services.credentials import credential_create
from apps.accounts.services.invitations import (
    invitation_accept,
    invitation_create,
    invitation_resend,
    invitation_revoke,
)
from apps.accounts.services.members import member_create, member_remove
from apps.accounts.services.operators import operator_set
from apps.accounts.services.presence import presence_tell, presence_told

__all__ = [
    "account_prove",
    "account_verify",
    "api_key_create",
    "api_key_revoke",
    "credential_create",
    "invitation_accept",
    "invitation_create",
    "invitation_resend",
    "invitation_revoke",
    "member_create",
    "member_remove",
    "operator_set",
    "presence_tell",
    "presence_told",
]
