"""What a page answers when a view raised: 507 for a full disk, else Django's own page."""

from __future__ import annotations

import sys

from django.http import HttpRequest, HttpResponse
from django.views import defaults

from apps.core.errors import StorageFull
from apps.core.storage import storage_is_full


def server_error(request: HttpRequest) -> HttpResponse:
    """Django calls it while the error is being handled. Uploads of pages can fail before any view of ours sees them."""
    error = sys.exc_info()[1]
    if error is not None and storage_is_full(error):
        full = StorageFull()
        return HttpResponse(full.message, status=full.status, content_type="text/plain; charset=utf-8")
    return defaults.server_error(request)
