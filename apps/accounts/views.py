"""Pages of accounts that the sign-in library does not have, or gets wrong."""

from __future__ import annotations

from typing import Any

from allauth.account import views as library
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_safe

from apps.accounts.messages import INVITATION_MESSAGES
from apps.core.languages import catalogue_render


def password_change(request: HttpRequest) -> HttpResponseBase:
    """Change the password. An account without one is led to the reset: the library would lead it to a page that is
    closed here, since a session alone must not be enough to set a first password."""
    if request.user.is_authenticated and not request.user.has_usable_password():
        return redirect("account_reset_password")
    return library.password_change(request)


class PasswordReset(library.PasswordResetView):
    """Ask for a link to a new password; without a mail server the page says so, and promises no message."""

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(**kwargs, mail_configured=settings.EMAIL_CONFIGURED)

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not settings.EMAIL_CONFIGURED:
            return self.get(request, *args, **kwargs)
        return super().post(request, *args, **kwargs)


@require_safe
@never_cache
@ensure_csrf_cookie
def invitation(request: HttpRequest) -> HttpResponse:
    """The page behind an invitation's link. It is the same for everybody: the token is in the fragment, which the
    browser keeps, and the page's script asks the API about it."""
    shown = {
        "messages_catalogue": catalogue_render(INVITATION_MESSAGES),
        "mail_configured": settings.EMAIL_CONFIGURED,
    }
    return render(request, "account/invitation.html", shown)
