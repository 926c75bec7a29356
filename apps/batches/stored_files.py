"""Which stored files batches mean: all that carry the id of a row that is there."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from apps.batches.models import Batch
from apps.core.stored_files import UUID, file_owner

_BATCH = "batch-"


@file_owner("batches", form=rf"{_BATCH}{UUID}\.(?:upload|rows|topics)")
def _of_batches(names: Sequence[str]) -> set[str]:
    ids = {name: uuid.UUID(name.removeprefix(_BATCH).partition(".")[0]) for name in names}
    there = set(Batch.objects.filter(id__in=set(ids.values())).values_list("id", flat=True))
    return {name for name in names if ids[name] in there}
