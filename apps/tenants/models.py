"""Organisations. Not tenant-owned: they are what a tenant id points at, and are read before a tenant is known."""

from __future__ import annotations

from django.db import models

from apps.core.bases import UuidModel


class Organization(UuidModel):
    """A company that uses the installation. `settings` holds only keys of `types.SETTINGS`."""

    name = models.CharField(max_length=120)
    slug = models.SlugField(max_length=60, unique=True)
    settings = models.JSONField(default=dict, blank=True)
    is_demo = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name
