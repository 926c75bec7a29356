"""Real messages over a real connection, and mail servers that do not take them."""

from __future__ import annotations

from collections.abc import Callable
from email import message_from_bytes
from email.policy import default
from typing import Any

import pytest
from django.core.mail import EmailMessage

from apps.accounts.models import Credential, Invitation
from apps.core.tenancy import tenant_scope
from apps.tenants.models import Organization
from tests.accounts.conftest import Browser, mailed_token, outcome, token_of
from tests.conftest import ApiClient
from tests.mailbox import Mailbox

BODY = {"email": "ben@b.example", "name": "Ben", "role": "agent"}


@pytest.fixture
def smtp(settings: Any) -> Callable[[Mailbox], Mailbox]:
    """smtp(mailbox): the installation's mail server is this one."""

    def use(mailbox: Mailbox) -> Mailbox:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_CONFIGURED = "127.0.0.1", mailbox.port, True
        return mailbox

    return use


def test_an_invitation_travels_by_smtp_and_is_accepted(api: ApiClient, smtp: Any) -> None:
    with Mailbox() as mailbox:
        smtp(mailbox)
        answer = api.post("/accounts/members", BODY)
    assert (answer.status_code, "link" in answer.json()) == (201, False)
    (message,) = [message_from_bytes(raw, policy=default) for raw in mailbox.kept]
    text = message.get_body().get_content()  # type: ignore[union-attr]
    link = next(line for line in text.splitlines() if "#" in line)
    assert (message["To"], message["Subject"]) == ("ben@b.example", "Acme invites you to nlpsuite")
    assert Browser().accept(token_of(link), password="my own long one").status_code == 200


def _nothing_open(tenant: Any) -> bool:
    with tenant_scope(tenant.id):
        pending = Invitation.objects.filter(accepted_at=None, revoked_at=None).exists()
    return not pending and not Credential.objects.filter(kind="invite", revoked_at=None).exists()


def test_a_mail_server_that_refuses_leaves_nobody_invited(api: ApiClient, tenant: Any, smtp: Any) -> None:
    with Mailbox(refuse=True) as mailbox:
        smtp(mailbox)
        answer = api.post("/accounts/members", BODY)
    assert outcome(answer) == (503, "mail_failed")
    assert answer.headers["Retry-After"]
    assert _nothing_open(tenant)


def test_a_mail_server_that_is_away_leaves_nobody_invited(api: ApiClient, tenant: Any, smtp: Any) -> None:
    with Mailbox() as mailbox:
        smtp(mailbox)
    answer = api.post("/accounts/members", BODY)
    assert outcome(answer) == (503, "mail_failed")
    assert _nothing_open(tenant)


def test_sending_again_by_a_mail_server_that_is_away_ends_the_old_link(
    api: ApiClient, mail: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = api.post("/accounts/members", BODY).json()
    old = mailed_token(mail)

    def away(self: EmailMessage, **_: Any) -> int:
        raise ConnectionRefusedError

    monkeypatch.setattr(EmailMessage, "send", away)
    assert outcome(api.post(f"/accounts/invitations/{made['id']}/resend")) == (503, "mail_failed")
    assert outcome(Browser().preview(old)) == (404, "invitation_invalid")
    assert [row["id"] for row in api.get("/accounts/invitations").json()["items"]] == [made["id"]]


def test_an_organisations_name_writes_no_header(api: ApiClient, tenant: Any, mail: list[Any]) -> None:
    Organization.objects.filter(id=tenant.id).update(name="Acme\r\nBcc: all@b.example")
    assert api.post("/accounts/members", BODY).status_code == 201
    assert mail[0].subject == "Acme Bcc: all@b.example invites you to nlpsuite"
    assert mail[0].recipients() == ["ben@b.example"]
