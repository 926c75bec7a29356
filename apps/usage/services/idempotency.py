"""Idempotency-Key: the record and the effect are one transaction, so a repeated request cannot act twice."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Any

from django.db import IntegrityError, transaction
from django.http import HttpRequest
from pydantic_core import to_jsonable_python

from apps.accounts.access import principal_of
from apps.core.clock import now
from apps.core.errors import Conflict, Invalid
from apps.core.tenancy import tenant_scope
from apps.tenants.selectors import organization_ids
from apps.usage.models import IdempotencyRecord

KEPT = timedelta(hours=24)


def _fingerprint(request: HttpRequest) -> str:
    digest = hashlib.sha256(f"{request.method} {request.get_full_path()}\n".encode())
    if (request.content_type or "").startswith("multipart/"):
        digest.update(json.dumps(sorted((k, request.POST.getlist(k)) for k in request.POST)).encode())
        for field in sorted(request.FILES):
            for upload in request.FILES.getlist(field):
                digest.update(f"{field}\0{upload.name}\0{upload.size}\n".encode())
                for chunk in upload.chunks():
                    digest.update(chunk)
                upload.seek(0)
    else:
        digest.update(request.body)
    return digest.hexdigest()


def idempotent(view: Callable[..., tuple[int, Any]]) -> Callable[..., tuple[int, Any]]:
    """Make a creating API view honour Idempotency-Key. The view returns (status, body) and calls services only.

    The same key and body give the stored answer; the same key with another body raises Conflict
    "idempotency_key_reused". Concurrent repeats wait for the first. A refused request leaves no record.
    """

    @wraps(view)
    def wrapper(request: HttpRequest, *args: Any, **kwargs: Any) -> tuple[int, Any]:
        key = request.headers.get("Idempotency-Key", "").strip()
        if not key:
            return view(request, *args, **kwargs)
        if len(key) > 200 or not key.isprintable():
            raise Invalid("Idempotency-Key must be 1 to 200 printable characters.", code="idempotency_key_invalid")
        principal = principal_of(request)
        print_ = _fingerprint(request)
        with tenant_scope(principal.tenant_id):
            mine = IdempotencyRecord.objects.filter(principal=principal.actor, key=key)
            mine.filter(created_at__lt=now() - KEPT).delete()
            try:
                with transaction.atomic():
                    record = IdempotencyRecord.objects.create(principal=principal.actor, key=key, fingerprint=print_)
            except IntegrityError:
                return _stored(mine.get(), print_)
            status, body = view(request, *args, **kwargs)
            record.status, record.body = status, to_jsonable_python(body, by_alias=True)
            record.save(update_fields=["status", "body"])
            return status, record.body

    # The router reads parameter types from the signature; as strings they would be looked up in this module.
    wrapper.__signature__ = inspect.signature(view, eval_str=True)  # type: ignore[attr-defined]
    return wrapper


def _stored(record: IdempotencyRecord, fingerprint: str) -> tuple[int, Any]:
    if record.fingerprint != fingerprint or record.status is None:
        raise Conflict("This Idempotency-Key was used for another request.", code="idempotency_key_reused")
    return record.status, record.body


def idempotency_prune() -> int:
    """Delete records older than a day in every organisation; returns how many."""
    removed = 0
    for tenant_id in organization_ids():
        with tenant_scope(tenant_id):
            removed += IdempotencyRecord.objects.filter(created_at__lt=now() - KEPT).delete()[0]
    return removed
