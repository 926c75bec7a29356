"""Migrations alone: the tables that now belong to `translation`, `nlp`, `batches` and `insights` were made here."""

from __future__ import annotations

from django.apps import AppConfig


class AnalysisConfig(AppConfig):
    name = "apps.analysis"
    label = "analysis"
