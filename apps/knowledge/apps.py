from django.apps import AppConfig
from django.conf import settings


class KnowledgeConfig(AppConfig):
    name = "apps.knowledge"
    label = "knowledge"

    def ready(self) -> None:
        from apps.knowledge import handlers, lexis  # noqa: F401  registers the job handlers

        lexis.cache_dir_set(settings.DATA_DIR / "cache")
