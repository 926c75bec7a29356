"""What other apps may call: the tasks."""

from __future__ import annotations

from apps.nlp.services.running import nlp_run, options_parse, task_get
from apps.nlp.services.table import TASKS

__all__ = ["TASKS", "nlp_run", "options_parse", "task_get"]
