"""Bounds on uploads, enforced while they are read and not by what the request claims about itself."""

from __future__ import annotations

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.core.files.uploadhandler import FileUploadHandler


class BoundedUploadHandler(FileUploadHandler):
    """Stops a multipart request at KNOWLEDGE_MAX_FILE_BYTES a file and KNOWLEDGE_MAX_REQUEST_BYTES in all.

    First in FILE_UPLOAD_HANDLERS: what passes goes on to Django's own handlers.
    """

    def __init__(self, request: object = None) -> None:
        super().__init__(request)  # type: ignore[arg-type]
        self._file_bytes = self._total_bytes = 0

    def new_file(self, *args: object, **kwargs: object) -> None:
        super().new_file(*args, **kwargs)  # type: ignore[arg-type]
        self._file_bytes = 0

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes:
        self._file_bytes += len(raw_data)
        self._total_bytes += len(raw_data)
        if self._file_bytes > settings.KNOWLEDGE_MAX_FILE_BYTES:
            raise RequestDataTooBig("A file of the request is larger than the limit.")
        if self._total_bytes > settings.KNOWLEDGE_MAX_REQUEST_BYTES:
            raise RequestDataTooBig("The files of the request are larger than the limit.")
        return raw_data

    def file_complete(self, file_size: int) -> None:
        return None
