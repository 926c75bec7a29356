"""The message that carries an invitation's link."""

from __future__ import annotations

from smtplib import SMTPException

import structlog
from django.core.mail import EmailMessage
from django.utils.translation import gettext as _

log = structlog.get_logger(__name__)


class MailFailed(Exception):
    """The mail server is away, or refused the message."""


def invitation_mail_send(*, to: str, organization: str, link: str, days: int) -> None:
    """Send the link to the address, in the active language. Raises MailFailed; waits for EMAIL_TIMEOUT_S at each step.

    The text holds nothing that an inviter wrote: the sender's name is the organisation's, which operators give.
    """
    name = " ".join(organization.split())
    subject = _("%(organization)s invites you to nlpsuite") % {"organization": name}
    body = _(
        "%(organization)s invites you to answer its customers with nlpsuite.\n\n"
        "Open this link to join. It works once, and for %(days)s days:\n\n"
        "%(link)s\n\n"
        "If you do not know who this is from, do nothing: without the link nobody can join in your name.\n"
    ) % {"organization": name, "days": days, "link": link}
    try:
        EmailMessage(subject, body, to=[to]).send()
    except (OSError, SMTPException) as error:
        # The error's text may hold the address.
        log.warning("invitation.mail_failed", error=type(error).__name__)
        raise MailFailed from error
