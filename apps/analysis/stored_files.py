"""Which stored files batches and translated documents mean: all that carry the id of a row that is there."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from apps.analysis.models import Batch, TranslatedDocument
from apps.core.stored_files import UUID, file_owner

_DOCUMENT, _BATCH = "document-", "batch-"
_COLUMNS = [("analysis_translateddocument", "storage_name"), ("analysis_translateddocument", "result_name")]


@file_owner("documents", form=rf"{_DOCUMENT}{UUID}\.(?:source|result)", columns=_COLUMNS)
def _of_documents(names: Sequence[str]) -> set[str]:
    there = set(TranslatedDocument.objects.filter(id__in=_ids(names, _DOCUMENT)).values_list("id", flat=True))
    return {name for name in names if _id(name, _DOCUMENT) in there}


@file_owner("batches", form=rf"{_BATCH}{UUID}\.(?:upload|rows|topics)")
def _of_batches(names: Sequence[str]) -> set[str]:
    there = set(Batch.objects.filter(id__in=_ids(names, _BATCH)).values_list("id", flat=True))
    return {name for name in names if _id(name, _BATCH) in there}


def _ids(names: Sequence[str], kind: str) -> set[uuid.UUID]:
    return {_id(name, kind) for name in names}


def _id(name: str, kind: str) -> uuid.UUID:
    return uuid.UUID(name.removeprefix(kind).partition(".")[0])
