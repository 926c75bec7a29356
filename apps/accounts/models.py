"""Staff users, their membership in organisations, API keys, and the narrow table that credentials are looked up in.

User, Membership and Credential are read before a tenant is known; the latter two hold only ids, digests, times and states.
"""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib.auth.models import AbstractUser, BaseUserManager
from django.contrib.postgres.fields import ArrayField
from django.db import models

from apps.accounts.types import ROLES
from apps.core.bases import TenantModel, UuidModel


class UserManager(BaseUserManager["User"]):
    """Users are made with an e-mail address; there are no user names."""

    def create_user(self, email: str, password: str | None = None, **extra: Any) -> User:
        user = self.model(email=self.normalize_email(email).lower(), **extra)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **extra: Any) -> User:
        return self.create_user(email, password, is_staff=True, is_superuser=True, **extra)


class User(UuidModel, AbstractUser):
    """A member of staff of one or more organisations, or an operator of the installation (`is_staff`)."""

    username = None  # type: ignore[assignment]
    first_name = None  # type: ignore[assignment]
    last_name = None  # type: ignore[assignment]
    email = models.EmailField(unique=True)
    name = models.CharField(max_length=120, blank=True)

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

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    tenant_id = models.UUIDField()
    role = models.CharField(max_length=10, choices=[(role, role) for role in ROLES])
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant_id", "user"], name="membership_once")]


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

    digest = models.CharField(primary_key=True, max_length=64)
    tenant_id = models.UUIDField()
    kind = models.CharField(max_length=10)
    object_id = models.UUIDField()
    expires_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["object_id"], name="credential_object")]
