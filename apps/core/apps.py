from django.apps import AppConfig
from django.conf import settings
from django.db.models.signals import post_migrate


class CoreConfig(AppConfig):
    name = "apps.core"
    label = "core"

    def ready(self) -> None:
        from apps.core.chinese import cache_dir_set
        from apps.core.grants import grant_runtime_role

        cache_dir_set(settings.DATA_DIR / "cache")
        post_migrate.connect(grant_runtime_role, dispatch_uid="grant_runtime_role")
