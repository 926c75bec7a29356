"""Bounds on uploads, enforced while they are read and not by what the request claims about itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.core.files.uploadhandler import FileUploadHandler

from apps.core.refusals import Refusal, RefusalShape, refusal_send, shape_at


class BoundedUploadHandler(FileUploadHandler):
    """Stops a multipart request at KNOWLEDGE_MAX_FILE_BYTES a file and KNOWLEDGE_MAX_REQUEST_BYTES in all, and where
    batches are uploaded at BATCH_MAX_FILE_BYTES.

    First in FILE_UPLOAD_HANDLERS: what passes goes on to Django's own handlers.
    """

    def __init__(self, request: object = None) -> None:
        super().__init__(request)  # type: ignore[arg-type]
        self._file_bytes = self._total_bytes = 0
        large = str(getattr(request, "path", "")).startswith(settings.BATCH_UPLOAD_PATHS)
        self._max_file = settings.BATCH_MAX_FILE_BYTES if large else settings.KNOWLEDGE_MAX_FILE_BYTES
        self._max_total = settings.BATCH_MAX_FILE_BYTES if large else settings.KNOWLEDGE_MAX_REQUEST_BYTES

    def new_file(self, *args: object, **kwargs: object) -> None:
        super().new_file(*args, **kwargs)  # type: ignore[arg-type]
        self._file_bytes = 0

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes:
        self._file_bytes += len(raw_data)
        self._total_bytes += len(raw_data)
        if self._file_bytes > self._max_file:
            raise RequestDataTooBig("A file of the request is larger than the limit.")
        if self._total_bytes > self._max_total:
            raise RequestDataTooBig("The files of the request are larger than the limit.")
        return raw_data

    def file_complete(self, file_size: int) -> None:
        return None


_TOO_LARGE = Refusal(413, "too_large", "The body is too large.")
_TOO_SLOW = Refusal(408, "too_slow", "The body came too slowly.")


class BodyTooLarge(Exception):
    """The body passed its bound."""


class BodyTooSlow(Exception):
    """The body comes slower than anybody needs to send it."""


class BodyLimit:
    """ASGI wrapper: bounds the size and the slowness of request bodies before Django spools them to disk.

    `upload_paths` may send KNOWLEDGE_MAX_REQUEST_BYTES and a little for the form around the files, BATCH_UPLOAD_PATHS
    BATCH_MAX_FILE_BYTES, all others `DATA_UPLOAD_MAX_MEMORY_SIZE`. A body that after 15 s has come at less than 1 KiB/s
    is given up. Answers 413 and 408 in the shape of the API's errors, or below the paths of `shapes` in what is made
    there of status, code and message.
    """

    grace_s = 15.0
    min_bytes_per_s = 1024
    idle_s = 20.0
    form_bytes = 1024 * 1024

    def __init__(
        self, app: Any, *, upload_paths: tuple[str, ...], shapes: Mapping[str, RefusalShape] | None = None
    ) -> None:
        self._app, self._upload_paths, self._shapes = app, upload_paths, shapes or {}

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def sending(message: dict[str, Any]) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            bounded = self._bounded(scope, receive)
            await self._app(scope, bounded, sending)
        except (BodyTooLarge, BodyTooSlow) as error:
            if not started:
                refusal = _TOO_LARGE if isinstance(error, BodyTooLarge) else _TOO_SLOW
                await refusal_send(scope, send, refusal, door="body", shape=shape_at(self._shapes, scope["path"]))

    def _bounded(self, scope: dict[str, Any], receive: Any) -> Any:
        upload = scope["path"].startswith(self._upload_paths)
        limit = settings.KNOWLEDGE_MAX_REQUEST_BYTES if upload else settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        if scope["path"].startswith(settings.BATCH_UPLOAD_PATHS):
            limit = settings.BATCH_MAX_FILE_BYTES
        limit += self.form_bytes
        declared = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if declared.isdigit() and int(declared) > limit:
            raise BodyTooLarge
        begun, received, complete = time.monotonic(), 0, False

        async def receiving() -> dict[str, Any]:
            nonlocal received, complete
            if complete:  # what comes now is the client's disconnect, for which there is no hurry
                return await receive()
            try:
                message = await asyncio.wait_for(receive(), self.idle_s)
            except TimeoutError:
                raise BodyTooSlow from None
            received += len(message.get("body", b""))
            complete = not message.get("more_body", False)
            elapsed = time.monotonic() - begun
            if received > limit:
                raise BodyTooLarge
            if not complete and elapsed > self.grace_s and received < self.min_bytes_per_s * elapsed:
                raise BodyTooSlow
            return message

        return receiving
