from django.apps import AppConfig


class ConversationsConfig(AppConfig):
    name = "apps.conversations"
    label = "conversations"

    def ready(self) -> None:
        from apps.events.services import event_declare

        event_declare("conversation.created", "rating.set", "csat.set", "draft.decided")
