"""HTTP and WebSockets of the web process."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nlpsuite.settings.base")

from channels.routing import ProtocolTypeRouter, URLRouter
from channels.sessions import SessionMiddlewareStack
from django.core.asgi import get_asgi_application

_http = get_asgi_application()

from django.conf import settings
from django.urls import path

from apps.core.boot import boot_check
from apps.inbox.consumers import StaffConsumer
from apps.knowledge.uploads import BodyLimit
from apps.model_api.gate import CallGate
from apps.model_api.libretranslate.errors import refusal_body as libretranslate_refusal
from apps.model_api.openai.errors import refusal_body as openai_refusal
from apps.model_api.tei.errors import refusal_body as tei_refusal
from apps.widget.consumers import VisitorConsumer
from nlpsuite.door import CredentialsFirst
from nlpsuite.edge import TrueClient
from nlpsuite.handlers import ByPath, ModelRoutesHandler
from nlpsuite.metrics.web import SocketCount
from nlpsuite.socket_door import SocketDoor
from nlpsuite.storage_gate import StorageGate

# In a thread: servers import this module inside their event loop.
with ThreadPoolExecutor(1) as pool:
    pool.submit(boot_check).result()

_SHAPES = {"/v1/": openai_refusal, "/tei": tei_refusal, "/libretranslate": libretranslate_refusal}

_UPLOADS = (
    "/api/v1/knowledge/sources",
    "/knowledge/add",
    "/studio/read",
    "/api/v1/analysis/translation/documents",
    "/libretranslate/translate_file",
)

_routes = ProtocolTypeRouter(
    {
        "http": CredentialsFirst(
            CallGate(
                StorageGate(
                    BodyLimit(
                        ByPath(frozenset({"v1", "tei", "libretranslate"}), ModelRoutesHandler(), _http),
                        upload_paths=_UPLOADS,
                        shapes=_SHAPES,
                    ),
                    upload_paths=(*_UPLOADS, *settings.BATCH_UPLOAD_PATHS),
                    shapes=_SHAPES,
                ),
                shapes=_SHAPES,
            ),
            shapes=_SHAPES,
        ),
        "websocket": SocketDoor(
            SocketCount(
                SessionMiddlewareStack(
                    URLRouter([path("ws/widget", VisitorConsumer.as_asgi()), path("ws/inbox", StaffConsumer.as_asgi())])
                )
            )
        ),
    }
)
application = TrueClient(_routes)
