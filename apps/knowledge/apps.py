from django.apps import AppConfig
from django.conf import settings


class KnowledgeConfig(AppConfig):
    name = "apps.knowledge"
    label = "knowledge"

    def ready(self) -> None:
        from apps.knowledge import handlers, lexis, stored_files  # noqa: F401  registers handlers and files

        lexis.cache_dir_set(settings.DATA_DIR / "cache")
