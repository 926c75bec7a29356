"""What people read when they have tried too often, and allauth's forms that ask for a secret."""

from __future__ import annotations

import math
from typing import Any, cast

from allauth.account.forms import ChangePasswordForm
from allauth.core import context
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from apps.accounts.devices import device_known
from apps.accounts.forms import AddressResetForm
from apps.accounts.services.sign_in import Attempt, attempt_begin
from apps.core.errors import RateLimited, Unavailable
from apps.core.peers import client_network

# Above this the wait is told in minutes.
_SECONDS_TOLD = 90


def begin_or_say(request: HttpRequest, *, kind: str, email: str, device: str = "") -> Attempt:
    """Count a try as `attempt_begin` does. Raises ValidationError that says how long to wait, also without the store."""
    try:
        return attempt_begin(kind=kind, email=email, address=client_network(request), device=device)
    except RateLimited as error:
        raise ValidationError(_wait(error.retry_after_s or 1), code=error.code) from error
    except Unavailable as error:
        raise ValidationError(_("This is not possible at the moment. Try again shortly."), code=error.code) from error


def _wait(seconds: float) -> Any:
    if seconds <= _SECONDS_TOLD:
        return _("Too many tries. You can try again in {seconds} seconds.").format(seconds=math.ceil(seconds))
    return _("Too many tries. You can try again in {minutes} minutes.").format(minutes=math.ceil(seconds / 60))


class GuardedResetForm(AddressResetForm):
    """Asking for a new password sends a message to somebody: a few an hour, whether the account exists or not."""

    def clean_email(self) -> str:
        email = str(self.cleaned_data["email"])
        request = cast("HttpRequest", context.request)
        begin_or_say(request, kind="reset", email=email, device=device_known(request, email))
        return str(super().clean_email())


class GuardedChangeForm(ChangePasswordForm):
    """Whoever finds an open session does not find the password by trying it as the old one."""

    def clean_oldpassword(self) -> str:
        request = cast("HttpRequest", context.request)
        attempt = begin_or_say(request, kind="change", email=self.user.email, device=str(request.session.session_key))
        password = str(super().clean_oldpassword())
        attempt.succeeded()
        return password
