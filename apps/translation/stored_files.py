"""Which stored files translated documents mean: all that carry the id of a row that is there."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from apps.core.stored_files import UUID, file_owner
from apps.translation.models import TranslatedDocument

_DOCUMENT = "document-"
_TABLE = TranslatedDocument._meta.db_table


@file_owner(
    "documents",
    form=rf"{_DOCUMENT}{UUID}\.(?:source|result)",
    columns=[(_TABLE, "storage_name"), (_TABLE, "result_name")],
)
def _of_documents(names: Sequence[str]) -> set[str]:
    ids = {name: uuid.UUID(name.removeprefix(_DOCUMENT).partition(".")[0]) for name in names}
    there = set(TranslatedDocument.objects.filter(id__in=set(ids.values())).values_list("id", flat=True))
    return {name for name in names if ids[name] in there}
