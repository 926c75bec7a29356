"""NLP on any text: tasks, batches, stored results."""

from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig


class AnalysisConfig(AppConfig):
    name = "apps.analysis"
    label = "analysis"

    def ready(self) -> None:
        """Register the handlers of events and jobs."""
        import_module("apps.insights.handlers")
