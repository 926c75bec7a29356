"""The language tasks, classifiers, and how good they are."""

from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig


class NlpConfig(AppConfig):
    name = "apps.nlp"
    label = "nlp"

    def ready(self) -> None:
        """Register the handlers of jobs."""
        import_module("apps.nlp.handlers")
