from django.apps import AppConfig
from django.db.models.signals import post_migrate


class CoreConfig(AppConfig):
    name = "apps.core"
    label = "core"

    def ready(self) -> None:
        from apps.core.grants import grant_runtime_role

        post_migrate.connect(grant_runtime_role, dispatch_uid="grant_runtime_role")
