"""The pages of accounts. Of allauth's pages these alone are open: signing in and out, a new password, a forgotten one.

They are listed one by one, so that a new version of the library opens nothing: no page changes an address, and none makes
an account. tests/accounts/test_pages.py asks each of the library's own routes.
"""

from __future__ import annotations

from allauth.account import views as library
from django.urls import path, re_path

from apps.accounts import views

urlpatterns = [
    path("login/", library.login, name="account_login"),
    path("logout/", library.logout, name="account_logout"),
    path("inactive/", library.account_inactive, name="account_inactive"),
    path("password/change/", views.password_change, name="account_change_password"),
    path("password/reset/", views.PasswordReset.as_view(), name="account_reset_password"),
    path("password/reset/done/", library.password_reset_done, name="account_reset_password_done"),
    path(
        "password/reset/key/done/",
        library.password_reset_from_key_done,
        name="account_reset_password_from_key_done",
    ),
    # Exactly the form of our ids and of the library's keys.
    re_path(
        r"^password/reset/key/(?P<uidb36>[0-9a-f]{32})-(?P<key>[0-9A-Za-z-]{1,100})/$",
        library.password_reset_from_key,
        name="account_reset_password_from_key",
    ),
    path("invitation/", views.invitation, name="account_invitation"),
]
