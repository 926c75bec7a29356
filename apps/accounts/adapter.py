"""allauth's hooks."""

from __future__ import annotations

from typing import Any, cast

from allauth.account.adapter import DefaultAccountAdapter
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from apps.accounts.devices import device_known, device_remember
from apps.accounts.guessing import begin_or_say
from apps.accounts.models import User
from apps.core.peers import client_address


class AccountAdapter(DefaultAccountAdapter):
    """Accounts are made by invitation: an open sign-up would give strangers a session. Guessing is limited here."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def get_reset_password_from_key_url(self, key: str) -> str:
        """Return the link of a message: at the installation's own address, whatever host the request named."""
        account, _, secret = key.partition("-")
        named = {"uidb36": account, "key": secret}
        return settings.BASE_URL + reverse("account_reset_password_from_key", kwargs=named)

    def get_client_ip(self, request: HttpRequest) -> str:
        return client_address(request)

    def authenticate(self, request: HttpRequest, **credentials: Any) -> Any:
        """Return the user of a right password, else None. Raises ValidationError with the wait after too many tries."""
        email = str(credentials.get("email", ""))
        attempt = begin_or_say(request, kind="sign_in", email=email, device=device_known(request, email))
        user = super().authenticate(request, **credentials)
        if user is not None:
            attempt.succeeded()
        return user

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """allauth's own limit counts by account alone, so that anybody locks everybody out; ours is in `authenticate`."""

    def post_login(self, request: HttpRequest, user: Any, **kwargs: Any) -> HttpResponse:
        response = cast("HttpResponse", super().post_login(request, user, **kwargs))
        device_remember(request, response, cast("User", user))
        return response
