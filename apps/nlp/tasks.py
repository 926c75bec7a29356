"""Celery entry points of nlp. They keep the names under which beats and workers of the version before know them."""

from __future__ import annotations

from celery import shared_task

from apps.nlp.services.classifier_encoders import classifiers_follow


@shared_task(name="apps.analysis.tasks.classifiers_follow_task")
def classifiers_follow_task() -> None:
    """Have classifiers trained over the default encoder."""
    classifiers_follow()
