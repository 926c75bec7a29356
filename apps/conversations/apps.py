from django.apps import AppConfig


class ConversationsConfig(AppConfig):
    name = "apps.conversations"
    label = "conversations"

    def ready(self) -> None:
        from apps.conversations import retention  # noqa: F401  registers how long rows are kept
        from apps.events.services import event_declare

        event_declare("conversation.created", "rating.set", "csat.set", "draft.decided")
