"""Known devices: a browser that has signed in to an account is not locked out by what others try on it.

The cookie is signed, closed to scripts, and good for the account and the password that it was made with. It opens nothing:
it only says that wrong passwords of others do not count here.
"""

from __future__ import annotations

import secrets
from typing import Any

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare, salted_hmac

from apps.accounts.models import User
from apps.accounts.services.sign_in import account_key

COOKIE = "nlpsuite_device"
_SALT = "accounts.device"
_PATH = "/accounts/"
# One browser may be shared by a few people, or know a few organisations' accounts.
_ACCOUNTS = 5
_KEPT_S = 180 * 86_400


def device_known(request: HttpRequest, email: str) -> str:
    """Return the device's id where this browser has signed in to the account with its present password, else "".

    The account is looked up only where the cookie names it: strangers cost the same whether it exists or not.
    """
    wanted = account_key(email)
    entry = next((one for one in _entries(request) if one[0] == wanted), None)
    if entry is None:
        return ""
    _, user_id, device, seal = entry
    user = User.objects.filter(id=user_id, is_active=True).first()
    if user is None or account_key(user.email) != wanted or not constant_time_compare(seal, _seal(user, device)):
        return ""
    return str(device)


def device_remember(request: HttpRequest, response: HttpResponse, user: User) -> None:
    """Set the cookie that makes this browser a known device of the account."""
    account, device = account_key(user.email), secrets.token_urlsafe(16)
    others = [entry for entry in _entries(request) if entry[0] != account][: _ACCOUNTS - 1]
    entries = [[account, str(user.id), device, _seal(user, device)], *others]
    response.set_cookie(
        COOKIE,
        signing.dumps(entries, salt=_SALT, compress=True),
        max_age=_KEPT_S,
        path=_PATH,
        httponly=True,
        secure=settings.SESSION_COOKIE_SECURE,
        samesite="Lax",
    )


def _seal(user: User, device: str) -> str:
    # Django's own hash of the password: another password, another seal.
    return salted_hmac(_SALT, f"{device}:{user.get_session_auth_hash()}", algorithm="sha256").hexdigest()[:32]


def _entries(request: HttpRequest) -> list[list[Any]]:
    try:
        found = signing.loads(request.COOKIES.get(COOKIE, ""), salt=_SALT, max_age=_KEPT_S)
    except signing.BadSignature:
        return []
    return [entry for entry in found if isinstance(entry, list) and len(entry) == 4] if isinstance(found, list) else []
