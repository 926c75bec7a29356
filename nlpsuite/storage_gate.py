"""ASGI: when the disk is full, bodies that would have to be written to it are refused before they are received."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog
from asgiref.sync import sync_to_async
from django.conf import settings

from apps.core.errors import StorageFull
from apps.core.refusals import Refusal, RefusalShape, refusal_send, shape_at
from apps.core.storage import storage_is_full, storage_require, temporary_require

log = structlog.get_logger(__name__)


class StorageGate:
    """Answers 507 in the shape of the API's errors, or below the paths of `shapes` in what is made there.

    A body above FILE_UPLOAD_MAX_MEMORY_SIZE, and one whose size is not told, waits in a temporary file; what comes from
    `upload_paths` is stored besides. Everything smaller passes unasked: chat needs no room of its own. A disk that
    becomes full while a request is received is found as an error and gets the same answer.
    """

    def __init__(self, app: Any, *, upload_paths: tuple[str, ...], shapes: Mapping[str, RefusalShape]) -> None:
        self._app, self._upload_paths, self._shapes = app, upload_paths, shapes

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
            size = _body_bytes(scope)
            if size > settings.FILE_UPLOAD_MAX_MEMORY_SIZE:
                await sync_to_async(temporary_require, thread_sensitive=False)(size)
                if scope["path"].startswith(self._upload_paths):
                    await sync_to_async(storage_require, thread_sensitive=False)(size)
            await self._app(scope, receive, sending)
        except Exception as error:
            if started or not storage_is_full(error):
                raise
            log.error("storage.full", path=scope["path"])
            await self._refuse(scope, send)

    async def _refuse(self, scope: dict[str, Any], send: Any) -> None:
        error = StorageFull()
        refusal = Refusal(error.status, error.code, error.message)
        await refusal_send(scope, send, refusal, door="storage", shape=shape_at(self._shapes, scope["path"]))


def _body_bytes(scope: dict[str, Any]) -> int:
    """The size that the request tells; for one that does not tell, just more than is held in memory."""
    headers = dict(scope["headers"])
    declared = headers.get(b"content-length", b"")
    if declared.isascii() and declared.isdigit():
        return int(declared[:15])
    return settings.FILE_UPLOAD_MAX_MEMORY_SIZE + 1 if b"transfer-encoding" in headers else 0
