"""Staff users, memberships, invitations, API keys, and the narrow table that credentials are looked up in.

User, Membership and Credential are read before a tenant is known; the latter two hold only ids, digests, times and states.
"""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib.auth.models import AbstractUser, BaseUserManager
from django.contrib.postgres.fields import ArrayField
from django.db import models

from apps.accounts.types import ROLES
from apps.core.bases import TenantModel, UuidModel
from apps.core.clock import now


class UserManager(BaseUserManager["User"]):
    """Users are made with an e-mail address; there are no user names."""

    def create_user(self, email: str, password: str | None = None, **extra: Any) -> User:
        user = self.model(email=self.normalize_email(email).lower(), **extra)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **extra: Any) -> User:
        # Only the operator's own command makes one.
        extra.setdefault("email_verified_at", now())
        return self.create_user(email, password, is_staff=True, is_superuser=True, **extra)


class User(UuidModel, AbstractUser):
    """A member of staff of one or more organisations, or an operator of the installation (`is_staff`)."""

    username = None  # type: ignore[assignment]
    first_name = None  # type: ignore[assignment]
    last_name = None  # type: ignore[assignment]
    email = models.EmailField(unique=True)
    name = models.CharField(max_length=120, blank=True)
    # When the address was shown to be this person's: by a link that was mailed to it, or by the operator's word. Until
    # then somebody else may know the password, and the account joins no further organisation.
    email_verified_at = models.DateTimeField(null=True, blank=True)

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []
    objects = UserManager()  # type: ignore[assignment,misc]

    @property
    def is_operator(self) -> bool:
        """Whether this account may look after the installation; it says nothing of any organisation."""
        return self.is_active and self.is_staff

    def get_full_name(self) -> str:
        return self.name or self.email

    def get_short_name(self) -> str:
        return self.name or self.email.partition("@")[0]


class Membership(UuidModel):
    """A user's role in an organisation."""

    read_before_tenant = "who signs in is looked up before an organisation is chosen"

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    tenant_id = models.UUIDField()
    role = models.CharField(max_length=10, choices=[(role, role) for role in ROLES])
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant_id", "user"], name="membership_once")]


class Invitation(TenantModel):
    """A role that waits for the person of an address. Its token is a Credential of the kind "invite"; one lives at most.

    `by_mail` says how the living token left: in a message to the address (who holds it proves the address), or as a link
    that the inviter was shown (which proves nothing).
    """

    email = models.EmailField()
    name = models.CharField(max_length=120, blank=True)
    role = models.CharField(max_length=10, choices=[(role, role) for role in ROLES])
    invited_by = models.CharField(max_length=80, blank=True)
    by_mail = models.BooleanField(default=False)
    mails = models.PositiveSmallIntegerField(default=0)
    mailed_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    class Meta(TenantModel.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["tenant_id", "email"],
                condition=models.Q(accepted_at=None, revoked_at=None),
                name="invitation_open_once",
            )
        ]
        indexes = [models.Index(fields=["tenant_id", "mailed_at"], name="invitation_mailed")]


class ApiKey(TenantModel):
    """An API key as its owner sees it. The secret is shown once; only its digest is kept, in Credential."""

    name = models.CharField(max_length=80)
    prefix = models.CharField(max_length=16)
    scopes = ArrayField(models.CharField(max_length=40))
    last_used_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)


class Credential(models.Model):
    """SHA-256 of a 256-bit random secret -> tenant and object. No names, no text."""

    read_before_tenant = "a digest says whose the caller is"

    digest = models.CharField(primary_key=True, max_length=64)
    tenant_id = models.UUIDField()
    kind = models.CharField(max_length=10)
    object_id = models.UUIDField()
    expires_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["object_id"], name="credential_object")]
