"""The texts of the chat frame's scripts. Keys are used in static/widget/frame/ and static/js/lib/."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

FRAME_MESSAGES = {
    "just_now": _("just now"),
    "you": _("You"),
    "agent": _("Support"),
    "kind_bot": _("AI assistant"),
    "kind_person": _("Team"),
    "sending": _("Sending…"),
    "not_sent": _("Not sent."),
    "try_again": _("Try again"),
    "writing": _("Writing a reply"),
    "source": _("Source"),
    "sources": _("Sources"),
    "rate_label": _("Rate this answer"),
    "helpful": _("Helpful"),
    "not_helpful": _("Not helpful"),
    "what_missing": _("What was missing?"),
    "send_short": _("Send"),
    "thanks": _("Thank you for telling us."),
    "write_message": _("Write a message"),
    "send": _("Send message"),
    "talk_to_person": _("Talk to a person"),
    "person_waiting": _("A person was asked to join"),
    "person_waiting_long": _("Waiting for a person to join"),
    "with_person": _("{name} is here"),
    "with_someone": _("You are talking to our team"),
    "person_typing": _("{name} is writing…"),
    "status_bot": _("Answers at once"),
    "messages": _("Messages"),
    "newer": _("New messages"),
    "close": _("Close chat"),
    "greeting_default": _("Hello! How can we help?"),
    "intro_note": _(
        "An AI assistant answers from our documents and shows its sources. You can ask for a person at any time."
    ),
    "suggested": _("Suggested questions"),
    "offline": _("You are offline. Messages are kept and sent when you are back."),
    "reconnecting": _("Connection lost. Trying again; your messages are kept."),
    "refused": _("This chat is not available at the moment."),
    "csat_question": _("How was this conversation?"),
    "csat_value": _("{value} of 5"),
    "reply_busy": _("Many people are asking right now, so this answer did not finish. Ask again in a moment."),
    "reply_failed": _("This answer did not finish. Ask again in a moment."),
    "error_rate_limited": _("Too many messages at once. Wait a moment."),
    "error_too_large": _("This message is too long."),
    "error_invalid": _("This message cannot be sent."),
    "error_forbidden": _("This chat is not available at the moment."),
}
