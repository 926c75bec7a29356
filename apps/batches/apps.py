"""Language tasks over the rows of a file."""

from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig


class BatchesConfig(AppConfig):
    name = "apps.batches"
    label = "batches"

    def ready(self) -> None:
        """Register the handlers of jobs, and which stored files are ours."""
        import_module("apps.batches.handlers")
        import_module("apps.batches.stored_files")
