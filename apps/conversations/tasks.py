"""Celery entry points of conversations."""

from __future__ import annotations

from celery import shared_task

from apps.conversations.services.judgements import judgements_follow
from apps.conversations.services.terms import terms_follow


@shared_task
def terms_follow_task() -> None:
    """Write the terms of messages and contacts that have none, as much as a turn allows."""
    terms_follow()


@shared_task
def judgements_follow_task() -> None:
    """Make judgements of what older processes kept elsewhere, as much as a turn allows."""
    judgements_follow()
