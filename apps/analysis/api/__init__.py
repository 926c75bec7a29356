"""Routes of /api/v1: `nlp` (tasks), `jobs` (batches), `analysis` (what the tasks of an organisation know)."""

from __future__ import annotations

from ninja import Router

from apps.analysis.api.classifiers import router as classifiers_router
from apps.analysis.api.conversations import router as conversations_router
from apps.analysis.api.jobs import router as jobs_router
from apps.analysis.api.nlp import router as nlp_router

analysis_router = Router()
analysis_router.add_router("/classifiers", classifiers_router)

__all__ = ["analysis_router", "conversations_router", "jobs_router", "nlp_router"]
