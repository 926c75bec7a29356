from django.apps import AppConfig


class WidgetConfig(AppConfig):
    name = "apps.widget"
    label = "widget"

    def ready(self) -> None:
        from apps.widget import channel  # noqa: F401  declares the kind of channel
