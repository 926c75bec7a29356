"""Which stored files sources mean."""

from __future__ import annotations

from collections.abc import Sequence

from apps.core.stored_files import UUID, file_owner
from apps.core.tenancy import current_tenant_id
from apps.knowledge.models import SourceFile


@file_owner("knowledge", form=UUID, columns=[("knowledge_sourcefile", "storage_name")])
def _meant(names: Sequence[str]) -> set[str]:
    stored = SourceFile.objects.filter(storage_name__in=[f"{current_tenant_id()}/{name}" for name in names])
    return {name.rpartition("/")[2] for name in stored.values_list("storage_name", flat=True)}
