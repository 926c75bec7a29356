"""What the bot says without a model: fixed sentences in the languages of the interface."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _
from django.utils.translation import override

PHRASES = {
    "no_answer": _(
        "I could not find an answer to that in our documents. You can ask in other words, or talk to a person."
    ),
    "handoff": _("I am passing this conversation to a colleague, who will answer you here."),
    "handoff_repeated": _("I have not been able to help, so I am passing this conversation to a colleague."),
    "handoff_away": _("I cannot answer at the moment, so I am passing this conversation to a colleague."),
    "small_talk_greeting": _("Hello! What would you like to know?"),
    "small_talk_thanks": _("You are welcome! Is there anything else you would like to know?"),
    "small_talk_bye": _("Goodbye! Come back whenever you have a question."),
    "quote_lead": _("Our documents say:"),
    "want_person": _("I would like to talk to a person."),
}


def phrase(name: str, locale: str) -> str:
    """Return a fixed sentence in the language of the inbox."""
    with override(locale):
        return str(PHRASES[name])
