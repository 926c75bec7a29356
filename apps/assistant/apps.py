from django.apps import AppConfig


class AssistantConfig(AppConfig):
    name = "apps.assistant"
    label = "assistant"

    def ready(self) -> None:
        from apps.assistant import handlers, retention  # noqa: F401  (registers event and job handlers, and how long rows are kept)
