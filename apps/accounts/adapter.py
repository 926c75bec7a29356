"""allauth's hooks."""

from __future__ import annotations

from allauth.account.adapter import DefaultAccountAdapter
from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse


class AccountAdapter(DefaultAccountAdapter):
    """Accounts are made by invitation: an open sign-up would give strangers a session."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def get_reset_password_from_key_url(self, key: str) -> str:
        """Return the link of a message: at the installation's own address, whatever host the request named."""
        account, _, secret = key.partition("-")
        named = {"uidb36": account, "key": secret}
        return settings.BASE_URL + reverse("account_reset_password_from_key", kwargs=named)
