"""Celery entry points of conversations."""

from __future__ import annotations

from celery import shared_task

from apps.conversations.services.terms import terms_follow


@shared_task
def terms_follow_task() -> None:
    """Write the terms of messages and contacts that have none, as much as a turn allows."""
    terms_follow()
