"""The composition root: settings, URLs, API, processes. It may import every app; no app imports it."""

from nlpsuite.celery import app as celery_app

__all__ = ["celery_app"]
