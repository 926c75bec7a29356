"""Celery entry points of the inference worker."""

from __future__ import annotations

import uuid

from celery import shared_task

from apps.inference.services.answering import request_answer
from apps.inference.services.space_building import spaces_follow


# Acknowledged at once: nobody waits for a request whose worker died, and its caller has a deadline.
@shared_task(name="apps.inference.tasks.infer_task", ignore_result=True, acks_late=False)  # type: ignore[untyped-decorator]
def infer_task(tenant_id: str, request_id: str) -> None:
    """Answer one call from another process."""
    request_answer(tenant_id=uuid.UUID(tenant_id), request_id=request_id)


@shared_task(ignore_result=True)  # type: ignore[untyped-decorator]
def spaces_follow_task(thorough: bool = False) -> None:
    """Start what brings vectors to the default encoder; `thorough` looks for texts without one, too."""
    spaces_follow(thorough=thorough)
