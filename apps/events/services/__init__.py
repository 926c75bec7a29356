"""Writing events, delivering them, hinting at them."""

from apps.events.services.deliveries import deliveries_drop, deliveries_list, deliveries_retry
from apps.events.services.dispatch import dispatch_due
from apps.events.services.hints import conversation_group, hint_send, hint_send_async, queue_group
from apps.events.services.record import NOTIFY_CHANNEL, audit_record, event_record, events_blank, events_forget
from apps.events.services.registry import event_declare, handler_names, handlers_of, on

__all__ = [
    "NOTIFY_CHANNEL",
    "audit_record",
    "conversation_group",
    "deliveries_drop",
    "deliveries_list",
    "deliveries_retry",
    "dispatch_due",
    "event_declare",
    "event_record",
    "events_blank",
    "events_forget",
    "handler_names",
    "handlers_of",
    "hint_send",
    "hint_send_async",
    "on",
    "queue_group",
]
