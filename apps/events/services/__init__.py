"""Writing events, delivering them, hinting at them."""

from apps.events.services.dispatch import dispatch_due, handlers_of, on
from apps.events.services.hints import conversation_group, hint_send, hint_send_async, queue_group
from apps.events.services.record import NOTIFY_CHANNEL, audit_record, event_record, events_forget

__all__ = [
    "NOTIFY_CHANNEL",
    "audit_record",
    "conversation_group",
    "dispatch_due",
    "event_record",
    "events_forget",
    "handlers_of",
    "hint_send",
    "hint_send_async",
    "on",
    "queue_group",
]
