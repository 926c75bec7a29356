"""Routes of /api/v1: `nlp` (tasks)."""

from __future__ import annotations

from apps.analysis.api.nlp import router as nlp_router

__all__ = ["nlp_router"]
