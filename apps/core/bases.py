"""Abstract model bases."""

from __future__ import annotations

from typing import Any

from django.db import models

from apps.core.ids import new_id
from apps.core.tenancy import TenantUnset, current_tenant_id


class UuidModel(models.Model):
    """A row with a random, time-ordered primary key."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)

    class Meta:
        abstract = True


class TenantManager(models.Manager):
    """Default manager of tenant-owned models: refuses to build a query outside `tenant_scope`."""

    def get_queryset(self) -> models.QuerySet:
        tenant_id = current_tenant_id()
        if tenant_id is None:
            raise TenantUnset(f"{self.model.__name__} was queried outside tenant_scope")
        return super().get_queryset().filter(tenant_id=tenant_id)


class TenantModel(UuidModel):
    """A row that belongs to one organisation.

    The migration that creates the table adds `organization_fk`, `tenant_rls` and, for each foreign key to another
    tenant-owned table, `tenant_fk`; tests/matrix finds tables that forgot.
    """

    tenant_id = models.UUIDField(editable=False)

    objects = TenantManager()

    class Meta:
        abstract = True
        # The base manager too: related look-ups and refresh_from_db must not run outside a scope.
        base_manager_name = "objects"

    def save(self, *args: Any, **kwargs: Any) -> None:
        tenant_id = current_tenant_id()
        if tenant_id is None:
            raise TenantUnset(f"{type(self).__name__} was saved outside tenant_scope")
        if self.tenant_id is None:
            self.tenant_id = tenant_id
        super().save(*args, **kwargs)
