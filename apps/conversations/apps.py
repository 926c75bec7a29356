from django.apps import AppConfig


class ConversationsConfig(AppConfig):
    name = "apps.conversations"
    label = "conversations"

    def ready(self) -> None:
        from apps.conversations import attachments, retention  # noqa: F401  stored files, and how long rows are kept
        from apps.conversations.services.judgements import fields_declare
        from apps.events.services import event_declare

        fields_declare()
        event_declare("conversation.created", "conversation.deleted", "rating.set", "csat.set", "draft.decided")
