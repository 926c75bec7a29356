"""Translation of texts and documents, and what an organisation tells it: terms, approved texts."""

from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig


class TranslationConfig(AppConfig):
    name = "apps.translation"
    label = "translation"

    def ready(self) -> None:
        """Register the handlers of jobs, and which stored files are ours."""
        import_module("apps.translation.handlers")
        import_module("apps.translation.stored_files")
