from django.apps import AppConfig


class JudgementsConfig(AppConfig):
    name = "apps.judgements"
    label = "judgements"

    def ready(self) -> None:
        from apps.events.services import event_declare

        event_declare("judgement.made")
