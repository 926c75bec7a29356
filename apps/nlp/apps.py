"""The language tasks, classifiers, and how good they are."""

from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig

from apps.core.chinese import segmenter
from apps.core.offload import preloads


class NlpConfig(AppConfig):
    name = "apps.nlp"
    label = "nlp"

    def ready(self) -> None:
        """Register the handlers of jobs, and what long texts may need."""
        import_module("apps.nlp.handlers")
        preloads.append(segmenter)
