"""Forms that allauth takes instead of its own."""

from __future__ import annotations

from allauth.account.forms import ResetPasswordForm

from apps.accounts.models import User


class AddressResetForm(ResetPasswordForm):
    """Asks for a link to a new password. It goes to the address that an account is kept under and to no other, so that
    using it proves that address."""

    def clean_email(self) -> str:
        email: str = super().clean_email()
        self.users = list(User.objects.filter(email=email.lower(), is_active=True))
        return email
