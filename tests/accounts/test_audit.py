"""Every security-relevant action leaves one row: who, what, on what, in which organisation (K10)."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile

from apps.accounts.models import User
from apps.accounts.services import (
    account_prove,
    api_key_create,
    api_key_revoke,
    invitation_accept,
    invitation_create,
    invitation_resend,
    invitation_revoke,
    member_create,
    member_remove,
)
from apps.batches.services.control import batch_cancel, batch_delete, batch_pause, batch_resume
from apps.batches.services.create import batch_create_from_items
from apps.conversations.services import (
    contact_delete,
    conversation_create,
    conversation_delete,
    inbox_create,
    inbox_identity_secret_renew,
    inbox_update,
)
from apps.core.tenancy import tenant_scope
from apps.events.models import AuditEntry
from apps.inference.services import space_pause, space_resume
from apps.knowledge.models import Source
from apps.knowledge.services import source_create_from_text, source_delete, source_reingest
from apps.nlp.models import ClassifierVersion
from apps.nlp.services.classifiers import classifier_activate, classifier_create, classifier_delete, classifier_teach
from apps.tenants.services import organization_create, organization_delete, organization_settings_update
from apps.translation.services.documents import document_create, document_delete
from apps.translation.services.glossary import glossary_delete, glossary_set
from apps.translation.services.memory import memory_add, memory_delete, memory_list

ACTOR = "user:tester"


def _key(tenant_id: Any) -> Any:
    return api_key_create(tenant_id=tenant_id, name="k", actor=ACTOR)[0].id


def _member(tenant_id: Any) -> Any:
    return member_create(
        tenant_id=tenant_id, email="m@acme.example", name="M", role="agent", password=None, actor=ACTOR
    ).id


def _verified(tenant_id: Any) -> Any:
    made = _member(tenant_id)
    User.objects.filter(id=made).update(email_verified_at=None)
    account_prove(user_id=made, actor=ACTOR)
    return made


def _invited(tenant_id: Any) -> Any:
    return _invitation(tenant_id).id


def _invitation(tenant_id: Any, actor: str = ACTOR) -> Any:
    return invitation_create(tenant_id=tenant_id, email="i@acme.example", name="I", role="agent", actor=actor)


def _source(tenant_id: Any) -> Any:
    return source_create_from_text(tenant_id=tenant_id, title="T", text="Text.", actor=ACTOR).id


def _inbox(tenant_id: Any) -> Any:
    return inbox_create(tenant_id=tenant_id, name="I", actor=ACTOR).id


def _talk(tenant_id: Any) -> Any:
    _inbox(tenant_id)
    return conversation_create(tenant_id=tenant_id, contact={"name": "Ada"})


def _read_again(tenant_id: Any) -> Any:
    source_id = _source(tenant_id)
    with tenant_scope(tenant_id):
        Source.objects.update(status="ready")
    source_reingest(tenant_id=tenant_id, source_id=source_id, actor=ACTOR)
    return source_id


def _then(make: Any, act: Any) -> Any:
    """Make something, act on it, return its id."""

    def run(tenant_id: Any) -> Any:
        made = make(tenant_id)
        act(tenant_id, made)
        return made

    return run


def _classifier(tenant_id: Any) -> Any:
    examples = [{"text": f"{label} {number}", "label": label} for label in "ab" for number in range(2)]
    made = classifier_create(tenant_id=tenant_id, name="C", examples=examples, actor=ACTOR)
    with tenant_scope(tenant_id):
        ClassifierVersion.objects.update(status="ready")
    return made.id


def _teach(tenant_id: Any, made: Any) -> None:
    more = [{"text": "a 3", "label": "a"}]
    classifier_teach(tenant_id=tenant_id, reference=str(made), examples=more, replace=False, actor=ACTOR)


def _batch(tenant_id: Any) -> Any:
    return batch_create_from_items(tenant_id=tenant_id, task="language", items=["Text."], actor=ACTOR).id


def _pause_and_resume(tenant_id: Any, made: Any) -> None:
    batch_pause(tenant_id=tenant_id, batch_id=made, actor=ACTOR)
    batch_resume(tenant_id=tenant_id, batch_id=made, actor=ACTOR)


def _cancel_and_delete(tenant_id: Any, made: Any) -> None:
    batch_cancel(tenant_id=tenant_id, batch_id=made, actor=ACTOR)
    batch_delete(tenant_id=tenant_id, batch_id=made, actor=ACTOR)


def _term(tenant_id: Any) -> Any:
    pair = {"source": "en", "target": "pt"}
    return glossary_set(tenant_id=tenant_id, **pair, term="desk", translation="mesa", actor=ACTOR).id


def _units(tenant_id: Any) -> Any:
    """Several at once have no row to name."""
    memory_add(tenant_id=tenant_id, source="en", target="pt", units=[("Desk", "Mesa")], actor=ACTOR)
    return ""


def _unit(tenant_id: Any) -> Any:
    _units(tenant_id)
    (unit,), _ = memory_list(tenant_id=tenant_id)
    return unit.id


def _document(tenant_id: Any) -> Any:
    return document_create(tenant_id=tenant_id, file=SimpleUploadedFile("a.txt", b"Text."), target="pt", actor=ACTOR).id


ACTIONS: dict[str, Any] = {
    "account.verified": _verified,
    "api_key.created": _key,
    "api_key.revoked": _then(_key, lambda t, i: api_key_revoke(tenant_id=t, key_id=i, actor=ACTOR)),
    "batch.deleted": _then(_batch, _cancel_and_delete),
    "batch.resumed": _then(_batch, _pause_and_resume),
    "batch.started": _batch,
    "classifier.activated": _then(
        _classifier, lambda t, i: classifier_activate(tenant_id=t, reference=str(i), version=1, actor=ACTOR)
    ),
    "classifier.created": _classifier,
    "classifier.deleted": _then(
        _classifier, lambda t, i: classifier_delete(tenant_id=t, reference=str(i), actor=ACTOR)
    ),
    "classifier.taught": _then(_classifier, _teach),
    "contact.deleted": _then(
        lambda t: _talk(t).contact.id, lambda t, i: contact_delete(tenant_id=t, contact_id=i, actor=ACTOR)
    ),
    "conversation.deleted": _then(
        lambda t: _talk(t).id, lambda t, i: conversation_delete(tenant_id=t, conversation_id=i, actor=ACTOR)
    ),
    "document.deleted": _then(_document, lambda t, i: document_delete(tenant_id=t, document_id=i, actor=ACTOR)),
    "document.translated": _document,
    "glossary.deleted": _then(_term, lambda t, i: glossary_delete(tenant_id=t, entry_id=i, actor=ACTOR)),
    "glossary.set": _term,
    "inbox.created": _inbox,
    "inbox.changed": _then(_inbox, lambda t, i: inbox_update(tenant_id=t, inbox_id=i, changes={}, actor=ACTOR)),
    "inbox.identity_secret_renewed": _then(
        _inbox, lambda t, i: inbox_identity_secret_renew(tenant_id=t, inbox_id=i, actor=ACTOR)
    ),
    "invitation.created": _invited,
    "invitation.resent": _then(_invited, lambda t, i: invitation_resend(tenant_id=t, invitation_id=i, actor=ACTOR)),
    "invitation.revoked": _then(_invited, lambda t, i: invitation_revoke(tenant_id=t, invitation_id=i, actor=ACTOR)),
    "member.added": _member,
    "member.removed": _then(_member, lambda t, i: member_remove(tenant_id=t, user_id=i, actor=ACTOR)),
    "memory.added": _units,
    "memory.deleted": _then(_unit, lambda t, i: memory_delete(tenant_id=t, unit_id=i, actor=ACTOR)),
    "organization.deleted": lambda t: organization_delete(tenant_id=t, actor=ACTOR) or t,
    "organization.settings_changed": lambda t: (
        organization_settings_update(tenant_id=t, values={"max_active_replies": 3}, actor=ACTOR) and t
    ),
    "source.created": _source,
    "source.deleted": _then(_source, lambda t, i: source_delete(tenant_id=t, source_id=i, actor=ACTOR)),
    "source.reingested": _read_again,
    "vectors.paused": lambda t: space_pause(tenant_id=t, actor=ACTOR) or "",
    "vectors.resumed": lambda t: space_resume(tenant_id=t, actor=ACTOR) or "",
}


def _recorded_in_the_code() -> set[str]:
    found = set()
    for path in (Path(settings.BASE_DIR) / "apps").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "audit_record":
                found |= {
                    k.value.value for k in node.keywords if k.arg == "action" and isinstance(k.value, ast.Constant)
                }
    return found


def test_every_audited_action_is_known_here() -> None:
    # Made by other actors than the tester: two see below, the switch see tests/knowledge/test_spaces.py, the retry see
    # tests/console/test_deliveries.py.
    others = {"organization.created", "invitation.accepted", "vectors.switched", "deliveries.retried"}
    assert _recorded_in_the_code() == set(ACTIONS) | others


@pytest.mark.parametrize("action", sorted(ACTIONS))
def test_an_action_leaves_one_row(tenant: Any, action: str) -> None:
    target = ACTIONS[action](tenant.id)
    with tenant_scope(tenant.id):
        rows = list(AuditEntry.objects.filter(action=action).values_list("actor", "target"))
    assert rows == [(ACTOR, str(target))]


def test_a_new_organisation_leaves_a_row(db: None) -> None:
    made = organization_create(name="New", actor=ACTOR)
    with tenant_scope(made.id):
        rows = list(AuditEntry.objects.values_list("action", "actor", "target"))
    assert rows == [("organization.created", ACTOR, str(made.id))]


def test_an_accepted_invitation_leaves_a_row_of_the_new_member(tenant: Any) -> None:
    made = _invitation(tenant.id, actor="system:command")
    token = made.link.partition("#")[2]
    done = invitation_accept(token=token, user=None, password="my own long one")
    actor = f"user:{done.user_id}"
    with tenant_scope(tenant.id):
        rows = list(AuditEntry.objects.filter(actor=actor).order_by("action").values_list("action", "target"))
        every = str(list(AuditEntry.objects.values()))
    assert rows == [("invitation.accepted", str(made.id)), ("member.added", str(done.user_id))]
    assert token not in every


def test_a_refused_action_leaves_none(tenant: Any) -> None:
    with tenant_scope(tenant.id):
        before = AuditEntry.objects.count()
    with pytest.raises(Exception, match=r"."):
        organization_settings_update(tenant_id=tenant.id, values={"nope": 1}, actor=ACTOR)
    with tenant_scope(tenant.id):
        assert AuditEntry.objects.count() == before


def test_no_row_holds_a_secret(tenant: Any) -> None:
    _, secret = api_key_create(tenant_id=tenant.id, name="k", actor=ACTOR)
    inbox = inbox_create(tenant_id=tenant.id, name="I", actor=ACTOR)
    with tenant_scope(tenant.id):
        rows = str(list(AuditEntry.objects.values()))
    assert [word for word in (secret, inbox.widget_token) if word in rows] == []
