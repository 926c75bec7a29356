"""What messages and conversations are found to be."""

from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig


class InsightsConfig(AppConfig):
    name = "apps.insights"
    label = "insights"

    def ready(self) -> None:
        """Register the handlers of events and jobs."""
        import_module("apps.insights.handlers")
