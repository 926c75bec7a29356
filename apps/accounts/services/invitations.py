"""Invitations: a role waits for the person of an address until a single-use link is answered.

The token is 256 random bits and stands in the fragment of the link, which browsers send to no server. Nothing that an
inviter gets to see depends on accounts outside the organisation.
"""

from __future__ import annotations

import secrets
import uuid
from datetime import datetime, timedelta

from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.db.models import Q, Sum

from apps.accounts.access import access_invitation, access_invitation_by_token, inviter_stands
from apps.accounts.errors import invitation_invalid, sign_in_required, wrong_account
from apps.accounts.models import Credential, Invitation, Membership, User
from apps.accounts.services.accounts import address_normal, password_check
from apps.accounts.services.credentials import credential_create
from apps.accounts.services.invitation_mail import MailFailed, invitation_mail_send
from apps.accounts.types import MEMBERS_MAX, ROLES, InvitationAccepted, InvitationSent
from apps.core.clock import now
from apps.core.errors import Conflict, Invalid, RateLimited, Unavailable
from apps.core.tenancy import tenant_scope
from apps.events.services import audit_record
from apps.tenants.selectors import organization_get

KIND = "invite"
_DAY = timedelta(days=1)
OPEN = Q(accepted_at=None, revoked_at=None)


def invitation_create(*, tenant_id: uuid.UUID, email: str, name: str, role: str, actor: str) -> InvitationSent:
    """Invite an address; sends the link, or returns it where no mail server is set.

    Raises Invalid "email_invalid", "role_invalid"; Conflict "member_exists", "invitation_pending" (send that one again),
    "invitations_full", "members_full"; RateLimited; Unavailable "mail_failed", after which nothing is pending.
    Effects: a row, a credential, an audit row, a message.
    """
    email = address_normal(email)
    if role not in ROLES:
        raise Invalid(f"There is no role {role!r}.", code="role_invalid")
    with tenant_scope(tenant_id):
        _one_at_a_time(tenant_id)
        _room_check(tenant_id, email)
        row = Invitation.objects.create(email=email, name=name.strip(), role=role, invited_by=actor, expires_at=_end())
        token = _token_renew(row)
        audit_record(action="invitation.created", actor=actor, target=str(row.id), data={"role": role})
    try:
        return _deliver(row, token)
    except MailFailed:
        with tenant_scope(tenant_id):
            _end_row(row, actor="system:mail")
        raise Unavailable(
            "The mail server did not take the message. Nobody was invited.", code="mail_failed", retry_after_s=60
        ) from None


def invitation_resend(*, tenant_id: uuid.UUID, invitation_id: object, actor: str) -> InvitationSent:
    """Send a new link, which lives as long as a first one; the old one is dead at once. As `invitation_create`.

    From now on the invitation stands and falls with who sent it last.

    Raises NotFound; Unavailable "mail_failed": the invitation stays, without a link that works.
    """
    with tenant_scope(tenant_id):
        _one_at_a_time(tenant_id)
        row = access_invitation(invitation_id, lock=True)
        _mails_check(tenant_id, row.email)
        row.expires_at, row.invited_by = _end(), actor
        row.save(update_fields=["expires_at", "invited_by"])
        token = _token_renew(row)
        audit_record(action="invitation.resent", actor=actor, target=str(row.id), data={"role": row.role})
    try:
        return _deliver(row, token)
    except MailFailed:
        with tenant_scope(tenant_id):
            _tokens_end(row)
        raise Unavailable(
            "The mail server did not take the message. The old link is dead too: send it again.",
            code="mail_failed",
            retry_after_s=60,
        ) from None


def invitation_revoke(*, tenant_id: uuid.UUID, invitation_id: object, actor: str) -> None:
    """End an invitation; its link is dead at once. Raises NotFound, also for one that was answered."""
    with tenant_scope(tenant_id):
        _end_row(access_invitation(invitation_id, lock=True), actor=actor)


def invitations_withdraw(*, invited_by: str, actor: str) -> None:
    """End what an inviter who is no longer trusted has left open, in the open scope."""
    for row in Invitation.objects.select_for_update().filter(OPEN, invited_by=invited_by):
        _end_row(row, actor=actor)


def invitation_accept(
    *, token: str, user: User | None, password: str | None = None, name: str | None = None
) -> InvitationAccepted:
    """Answer an invitation: `user` is who is signed in, or None.

    Where the address has no account one is made, with the person's own password; it is proven when the link came by
    mail. Where it has one, only its own session accepts. One of two answers at once wins.
    Raises NotFound "invitation_invalid" (unknown, used, expired, revoked, and of an inviter who may not invite to this role
    any more, alike); Invalid "password_required",
    "password_weak", "password_not_taken"; Conflict "sign_in_required", "wrong_account", "address_unproven",
    "member_exists", "members_full".
    Effects: a membership, perhaps an account, audit rows.
    """
    tenant_id, _ = access_invitation_by_token(token)
    organization = organization_get(tenant_id=tenant_id)
    with tenant_scope(tenant_id):
        _one_at_a_time(tenant_id)
        # Again, now that nobody else can answer or replace it.
        _, invitation_id = access_invitation_by_token(token)
        row = Invitation.objects.select_for_update().filter(OPEN, id=invitation_id, expires_at__gt=now()).first()
        if row is None or not inviter_stands(row):
            raise invitation_invalid()
        if Membership.objects.filter(tenant_id=tenant_id).count() >= MEMBERS_MAX:
            raise Conflict(f"An organisation has at most {MEMBERS_MAX} members.", code="members_full")
        account = User.objects.filter(email=row.email).first()
        made = account is None
        if account is None:
            account = _account_make(row, user, password, name)
        else:
            _account_check(account, user, password)
        _, joined = Membership.objects.get_or_create(user=account, tenant_id=tenant_id, defaults={"role": row.role})
        if not joined:
            raise Conflict("This account is a member already.", code="member_exists")
        row.accepted_at = now()
        row.save(update_fields=["accepted_at"])
        _tokens_end(row)
        actor = f"user:{account.id}"
        audit_record(action="invitation.accepted", actor=actor, target=str(row.id), data={"role": row.role})
        audit_record(action="member.added", actor=actor, target=str(account.id), data={"role": row.role})
    return InvitationAccepted(account.id, tenant_id, organization.name, row.role, made)


def _account_make(row: Invitation, user: User | None, password: str | None, name: str | None) -> User:
    if user is not None:
        raise wrong_account()
    if not password:
        raise Invalid("Choose a password.", code="password_required")
    chosen = (name if name is not None else row.name).strip()
    password_check(password, email=row.email, name=chosen)
    try:
        with transaction.atomic():
            return User.objects.create_user(
                email=row.email,
                password=password,
                name=chosen,
                email_verified_at=now() if row.by_mail else None,
            )
    except IntegrityError:
        # Another organisation's invitation made the account a moment ago.
        raise sign_in_required() from None


def _account_check(account: User, user: User | None, password: str | None) -> None:
    if user is None:
        raise sign_in_required()
    if user.id != account.id:
        raise wrong_account()
    if password:
        raise Invalid("This address has an account, which keeps its password.", code="password_not_taken")
    if account.email_verified_at is None:
        raise Conflict(
            "Nobody has shown yet that this address belongs to whoever holds its account. Ask for a new password by "
            "e-mail, or have the operator run manage.py account_verify; then accept again.",
            code="address_unproven",
        )


def _room_check(tenant_id: uuid.UUID, email: str) -> None:
    members = Membership.objects.filter(tenant_id=tenant_id)
    if members.filter(user__email=email).exists():
        raise Conflict("There is a member with this address.", code="member_exists")
    if members.count() >= MEMBERS_MAX:
        raise Conflict(f"An organisation has at most {MEMBERS_MAX} members.", code="members_full")
    pending = Invitation.objects.filter(OPEN)
    row = pending.filter(email=email).first()
    if row is not None and row.expires_at > now() and inviter_stands(row):
        raise Conflict(
            "This address is invited already. Send that invitation again, or revoke it.",
            code="invitation_pending",
            details={"id": str(row.id)},
        )
    if row is not None:
        _end_row(row, actor="system:expired")
    if pending.count() >= settings.INVITATIONS_MAX_PENDING:
        raise Conflict("Too many invitations are unanswered. Revoke some first.", code="invitations_full")
    _mails_check(tenant_id, email)


def _mails_check(tenant_id: uuid.UUID, email: str) -> None:
    """Invitations are messages to people who did not ask for them."""
    if not settings.EMAIL_CONFIGURED:
        return
    recent = Invitation.objects.filter(mailed_at__gt=now() - _DAY)
    sent = recent.aggregate(all=Sum("mails"), here=Sum("mails", filter=Q(email=email)))
    if (sent["here"] or 0) >= settings.INVITATION_MAILS_PER_ADDRESS_PER_DAY:
        raise RateLimited("This address got several invitations today.", retry_after_s=_DAY.total_seconds())
    if (sent["all"] or 0) >= settings.INVITATION_MAILS_PER_DAY:
        raise RateLimited("Too many invitations were sent today.", retry_after_s=_DAY.total_seconds())


def _deliver(row: Invitation, token: str) -> InvitationSent:
    """Send the link outside any lock, or hand it back."""
    link = f"{settings.BASE_URL}/accounts/invitation/#{token}"
    if not settings.EMAIL_CONFIGURED:
        return InvitationSent(row.id, link)
    organization = organization_get(tenant_id=row.tenant_id)
    invitation_mail_send(to=row.email, organization=organization.name, link=link, days=settings.INVITATION_DAYS)
    return InvitationSent(row.id, None)


def _token_renew(row: Invitation) -> str:
    """Give the invitation a new token, in the open scope; the old one is dead."""
    _tokens_end(row)
    token = secrets.token_urlsafe(32)
    tenant_id = row.tenant_id
    credential_create(tenant_id=tenant_id, kind=KIND, object_id=row.id, secret=token, expires_at=row.expires_at)
    row.by_mail = settings.EMAIL_CONFIGURED
    if row.by_mail:
        row.mails += 1
        row.mailed_at = now()
    row.save(update_fields=["by_mail", "mails", "mailed_at"])
    return token


def _tokens_end(row: Invitation) -> None:
    mine = Credential.objects.filter(tenant_id=row.tenant_id, object_id=row.id, kind=KIND)
    mine.filter(revoked_at=None).update(revoked_at=now())


def _end_row(row: Invitation, *, actor: str) -> None:
    row.revoked_at = now()
    row.save(update_fields=["revoked_at"])
    _tokens_end(row)
    audit_record(action="invitation.revoked", actor=actor, target=str(row.id), data={"role": row.role})


def _end() -> datetime:
    return now() + timedelta(days=settings.INVITATION_DAYS)


def _one_at_a_time(tenant_id: uuid.UUID) -> None:
    """Hold others who invite to, or join, this organisation until the transaction ends: the bounds are exact, and one
    of two answers at once finds the other's."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"accounts.members:{tenant_id}"])
