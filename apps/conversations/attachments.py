"""Files of messages: which stored file is whose, and what becomes of a stranger's file before its row is written.

A file is written before the row that names it is committed, and removed after that row is gone: what is left over in between
is removed at night (`core.stored_files`). Its bytes are never looked into, and given out as a download only.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Sequence

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from apps.conversations.models import Attachment
from apps.conversations.types import (
    MAX_ATTACHMENTS,
    MAX_ATTACHMENTS_BYTES,
    MAX_FILE_NAME,
    MAX_MEDIA_TYPE,
    AttachmentInfo,
    NewFile,
    storable,
)
from apps.core.errors import Invalid, TooLarge
from apps.core.ids import new_id
from apps.core.stored_files import UUID, file_owner
from apps.core.tenancy import current_tenant_id

UNKNOWN_TYPE = "application/octet-stream"
_PREFIX = "attachment-"
_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]*/[a-z0-9][a-z0-9!#$&^_.+-]*")


@file_owner("attachments", form=rf"{_PREFIX}{UUID}", columns=[("conversations_attachment", "storage_name")])
def _meant(names: Sequence[str]) -> set[str]:
    rows = Attachment.objects.filter(storage_name__in=[f"{current_tenant_id()}/{name}" for name in names])
    return {name.rpartition("/")[2] for name in rows.values_list("storage_name", flat=True)}


def attachments_check(files: Sequence[NewFile]) -> None:
    """Raise Invalid "attachments_too_many", TooLarge "attachments_too_large"."""
    if len(files) > MAX_ATTACHMENTS:
        raise Invalid(f"A message has at most {MAX_ATTACHMENTS} files.", code="attachments_too_many")
    if sum(len(file.content) for file in files) > MAX_ATTACHMENTS_BYTES:
        size_mb = MAX_ATTACHMENTS_BYTES // 1024**2
        raise TooLarge(f"The files of a message have at most {size_mb} MB together.", code="attachments_too_large")


def attachments_store(tenant_id: uuid.UUID, files: Sequence[NewFile]) -> list[Attachment]:
    """Write files to the storage and return rows for them, not saved yet. Raises StorageFull with none of them left."""
    rows: list[Attachment] = []
    try:
        for position, file in enumerate(files):
            stored = default_storage.save(f"{tenant_id}/{_PREFIX}{uuid.uuid4()}", ContentFile(file.content))
            row = Attachment(
                id=new_id(),
                tenant_id=tenant_id,
                position=position,
                name=file_name(file.name),
                media_type=_media_type(file.media_type),
                size_bytes=len(file.content),
                sha256=hashlib.sha256(file.content).hexdigest(),
                storage_name=stored,
            )
            rows.append(row)
    except BaseException:
        files_remove([row.storage_name for row in rows])
        raise
    return rows


def files_remove(names: Sequence[str]) -> None:
    """Remove stored files; those that are gone are no error."""
    for name in names:
        default_storage.delete(name)


def attachment_info(row: Attachment) -> AttachmentInfo:
    """Return the plain value of a row."""
    return AttachmentInfo(row.id, row.name, row.media_type, row.size_bytes, row.sha256)


def file_name(said: str) -> str:
    """Return the last part of a name that a stranger gave, without control characters; the end is kept, for its suffix."""
    last = re.split(r"[/\\]", storable(said, 4 * MAX_FILE_NAME))[-1]
    plain = "".join(sign for sign in last if sign.isprintable()).strip(" .")
    return plain[-MAX_FILE_NAME:] or "file"


def _media_type(said: str) -> str:
    plain = said.partition(";")[0].strip().lower()
    return plain if len(plain) <= MAX_MEDIA_TYPE and _MEDIA_TYPE.fullmatch(plain) else UNKNOWN_TYPE
