"""Translation of texts and documents, and what an organisation tells it: terms, approved texts."""

from __future__ import annotations

from functools import partial
from importlib import import_module

from django.apps import AppConfig

from apps.core.offload import preloads


class TranslationConfig(AppConfig):
    name = "apps.translation"
    label = "translation"

    def ready(self) -> None:
        """Register the handlers of jobs, which stored files are ours, and what long texts need."""
        import_module("apps.translation.handlers")
        import_module("apps.translation.stored_files")
        language = import_module("apps.translation.services.language")
        preloads.extend([partial(language.language_of, "a text"), partial(language.languages_of, ["a text"])])
