"""Writes on users, memberships, keys and credentials."""

from apps.accounts.services.api_keys import api_key_create, api_key_revoke
from apps.accounts.services.credentials import credential_create
from apps.accounts.services.members import member_create, member_invite, member_remove
from apps.accounts.services.operators import operator_set

__all__ = [
    "api_key_create",
    "api_key_revoke",
    "credential_create",
    "member_create",
    "member_invite",
    "member_remove",
    "operator_set",
]
