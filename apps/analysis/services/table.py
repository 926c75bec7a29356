"""The tasks by name."""

from __future__ import annotations

from apps.analysis.services import language
from apps.analysis.types import Task

TASKS: dict[str, Task] = {
    task.name: task for task in (Task("language", language.LanguageOptions, language.run, lambda _: language.MODEL),)
}
