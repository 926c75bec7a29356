"""allauth's hooks."""

from __future__ import annotations

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest


class AccountAdapter(DefaultAccountAdapter):
    """Accounts are made by invitation: an open sign-up would give strangers a session."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False
