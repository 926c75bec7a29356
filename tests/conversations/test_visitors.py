"""Visitor tokens prove themselves, and an identity has to be proven by the host page."""

from __future__ import annotations

import base64
import hashlib
import hmac
import struct
import time
import uuid
from datetime import timedelta
from typing import Any

import pytest

from apps.conversations.access import access_inbox_by_widget_token, access_visitor, access_visitor_conversation
from apps.conversations.models import Contact, VisitorToken
from apps.conversations.services import NewConversation, conversation_update, inbox_create, message_post
from apps.conversations.services.visitors import (
    LIFETIME,
    PREFIX,
    reserved_conversation_id,
    visitor_token_issue,
    visitor_token_issued_at,
)
from apps.conversations.types import Visitor
from apps.core.clock import now
from apps.core.errors import Forbidden, NotFound
from apps.core.tenancy import tenant_scope
from tests.conversations.proofs import hash_proof


def _write(visitor: Visitor, conversation_id: uuid.UUID | None = None, text: str = "hi") -> uuid.UUID:
    """The visitor's first message; returns the conversation."""
    target = conversation_id or reserved_conversation_id(visitor.token)
    message_post(
        tenant_id=visitor.tenant_id,
        conversation_id=target,
        role="contact",
        text=text,
        new=NewConversation(visitor),
    )
    return target


# -- tokens ----------------------------------------------------------------------------------------------------------
def test_a_token_of_ours_is_kept(inbox: Any) -> None:
    token = visitor_token_issue(inbox_id=inbox.id)
    assert access_visitor(inbox, token).token == token


def test_nothing_is_stored_before_the_first_message(inbox: Any) -> None:
    access_visitor(inbox, None)
    with tenant_scope(inbox.tenant_id):
        assert (VisitorToken.objects.count(), Contact.objects.count()) == (0, 0)


def test_the_token_is_stored_as_a_digest(inbox: Any) -> None:
    visitor = access_visitor(inbox, None)
    _write(visitor)
    with tenant_scope(inbox.tenant_id):
        assert visitor.token not in VisitorToken.objects.get().digest


def test_every_changed_character_makes_a_token_void(inbox: Any) -> None:
    token = visitor_token_issue(inbox_id=inbox.id)
    swapped = ["B" if character == "A" else "A" for character in token]
    forged = [token[:i] + swapped[i] + token[i + 1 :] for i in range(len(token))]
    accepted = [one for one in forged if access_visitor(inbox, one).token == one]
    # The last character carries bits that base64 drops: it may decode to the very same bytes.
    assert [one for one in accepted if _bytes(one) != _bytes(token)] == []


def _bytes(token: str) -> bytes:
    body = token[len(PREFIX) :]
    return base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))


def _sealed(inbox_id: uuid.UUID, key: bytes, issued: int) -> str:
    body = b"\1" * 32 + struct.pack(">I", issued)
    seal = hmac.new(key, inbox_id.bytes + body, hashlib.sha256).digest()[:16]
    return PREFIX + base64.urlsafe_b64encode(body + seal).decode().rstrip("=")


@pytest.mark.parametrize(
    "forged",
    [
        "",
        "nlv_",
        "nlv_" + "A" * 70,
        "nlv_" + "=" * 70,
        "nlv_\u00e9",
        "nlv_\x00",
        "nlv_" + "A" * 10_000,
        None,
        7,
        ["x"],
        {"a": 1},
        True,
    ],
)
def test_what_is_no_token_gives_a_new_visitor(inbox: Any, forged: Any) -> None:
    assert access_visitor(inbox, forged).token != forged


@pytest.mark.parametrize("key", [b"", b"\0" * 32, hashlib.sha256(b"visitor-token\0").digest()])
def test_a_token_sealed_with_another_key_is_void(inbox: Any, key: bytes) -> None:
    forged = _sealed(inbox.id, key, int(time.time()))
    assert access_visitor(inbox, forged).token != forged


def test_a_token_of_another_inbox_is_void(tenant: Any, inbox: Any) -> None:
    second = inbox_create(tenant_id=tenant.id, name="Second")
    visitor = access_visitor(inbox, None)
    _write(visitor)
    assert access_visitor(second, visitor.token).contact_id is None
    assert access_visitor(second, visitor.token).token != visitor.token


def test_a_token_of_another_organisation_is_void(inbox: Any, other_inbox: Any) -> None:
    visitor = access_visitor(other_inbox, None)
    _write(visitor)
    assert access_visitor(inbox, visitor.token).contact_id is None


def test_an_expired_token_opens_nothing(inbox: Any) -> None:
    visitor = access_visitor(inbox, None)
    _write(visitor)
    with tenant_scope(inbox.tenant_id):
        VisitorToken.objects.update(expires_at=now() - timedelta(seconds=1))
    again = access_visitor(inbox, visitor.token)
    assert (again.contact_id, again.token == visitor.token) == (None, False)


def test_an_unused_token_ends_after_its_lifetime(inbox: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    token = visitor_token_issue(inbox_id=inbox.id)
    later = time.time() + LIFETIME.total_seconds() + 1
    monkeypatch.setattr("apps.conversations.access.time.time", lambda: later)
    assert access_visitor(inbox, token).token != token


def test_use_starts_the_lifetime_again(inbox: Any) -> None:
    visitor = access_visitor(inbox, None)
    _write(visitor)
    with tenant_scope(inbox.tenant_id):
        VisitorToken.objects.update(expires_at=now() + timedelta(days=1))
    access_visitor(inbox, visitor.token)
    with tenant_scope(inbox.tenant_id):
        assert VisitorToken.objects.get().expires_at > now() + LIFETIME - timedelta(minutes=1)


def test_the_time_of_issue_is_in_the_token(inbox: Any) -> None:
    issued = visitor_token_issued_at(inbox_id=inbox.id, token=visitor_token_issue(inbox_id=inbox.id))
    assert issued is not None
    assert abs(issued - time.time()) < 5


@pytest.mark.parametrize("token", ["", "wgt_unknown", "wgt_" + "x" * 500, "\x00"])
def test_an_unknown_widget_token_opens_no_inbox(db: None, token: str) -> None:
    with pytest.raises(NotFound):
        access_inbox_by_widget_token(token)


def test_an_api_key_is_no_widget_token(api: Any) -> None:
    with pytest.raises(NotFound):
        access_inbox_by_widget_token(api.secret)


# -- identity --------------------------------------------------------------------------------------------------------
def test_the_same_proven_person_is_one_contact(inbox: Any) -> None:
    _write(access_visitor(inbox, None, hash_proof(inbox, "user-7")))
    _write(access_visitor(inbox, None, hash_proof(inbox, "user-7")))
    with tenant_scope(inbox.tenant_id):
        assert Contact.objects.count() == 1


def _wrong_identities(inbox: Any, second: Any, foreign: Any) -> list[Any]:
    good = hash_proof(inbox, "user-7")
    return [
        {"id": "user-7"},
        {"id": "user-7", "hash": ""},
        {"id": "user-7", "hash": None},
        {"id": "user-8", "hash": good["hash"]},
        {"id": "user-7 ", "hash": good["hash"]},
        {"id": "user-7", "hash": good["hash"][:-1]},
        {"id": "user-7", "hash": good["hash"][:-1] + ("0" if good["hash"][-1] != "0" else "1")},
        {"id": "user-7", "hash": good["hash"].upper() if good["hash"].upper() != good["hash"] else "x"},
        {"id": "user-7", "hash": hashlib.sha256(b"user-7").hexdigest()},
        {"id": "user-7", "hash": hmac.new(b"", b"user-7", hashlib.sha256).hexdigest()},
        {"id": "user-7", "hash": hmac.new(inbox.widget_token.encode(), b"user-7", hashlib.sha256).hexdigest()},
        {"id": "user-7", "hash": [good["hash"]]},
        {"id": ["user-7"], "hash": good["hash"]},
        {"id": "", "hash": good["hash"]},
        {"id": "x" * 121, "hash": good["hash"]},
        {"id": "\ud800", "hash": good["hash"]},
        {"email": "ada@customer.example"},
        hash_proof(second, "user-7"),
        hash_proof(foreign, "user-7"),
        "user-7",
        7,
        [],
        True,
    ]


def test_no_wrong_proof_is_accepted(tenant: Any, inbox: Any, other_inbox: Any) -> None:
    second = inbox_create(tenant_id=tenant.id, name="Second")
    wrong = _wrong_identities(inbox, second, other_inbox)
    assert [identity for identity in wrong if _accepted(inbox, identity)] == []


def _accepted(inbox: Any, identity: Any) -> bool:
    try:
        access_visitor(inbox, None, identity)
    except Forbidden as error:
        return error.code != "identity_invalid"
    return True


def test_claiming_an_address_gives_no_history(inbox: Any) -> None:
    """F3: an unproven visitor with a customer's address is somebody else."""
    _write(access_visitor(inbox, None, hash_proof(inbox, "user-7", email="ada@customer.example")))
    stranger = access_visitor(inbox, None)
    conversation_id, exists = access_visitor_conversation(stranger, None)
    assert exists is False
    _write(stranger, conversation_id)
    with tenant_scope(inbox.tenant_id):
        assert Contact.objects.count() == 2


def test_another_persons_token_does_not_open_the_first_ones_history(inbox: Any) -> None:
    first = access_visitor(inbox, None, hash_proof(inbox, "user-7"))
    _write(first)
    second = access_visitor(inbox, first.token, hash_proof(inbox, "user-8"))
    assert second.contact_id is None
    assert second.token != first.token


# -- which conversation ----------------------------------------------------------------------------------------------
def test_the_first_conversation_is_reserved_for_the_token(inbox: Any) -> None:
    visitor = access_visitor(inbox, None)
    assert access_visitor_conversation(visitor, None) == access_visitor_conversation(visitor, None)


def test_a_visitor_comes_back_to_the_open_conversation(inbox: Any) -> None:
    visitor = access_visitor(inbox, None)
    conversation_id = _write(visitor)
    assert access_visitor_conversation(access_visitor(inbox, visitor.token), None) == (conversation_id, True)


def test_after_resolving_a_new_conversation_begins(inbox: Any) -> None:
    visitor = access_visitor(inbox, None)
    first = _write(visitor)
    conversation_update(tenant_id=inbox.tenant_id, conversation_id=first, changes={"status": "resolved"}, actor="t")
    found, exists = access_visitor_conversation(access_visitor(inbox, visitor.token), None)
    assert (found == first, exists) == (False, False)


def test_another_visitors_conversation_is_not_opened(inbox: Any) -> None:
    theirs = _write(access_visitor(inbox, None))
    mine = access_visitor(inbox, None)
    _write(mine)
    found, _ = access_visitor_conversation(access_visitor(inbox, mine.token), str(theirs))
    assert found != theirs


def test_a_fresh_visitor_is_not_let_into_a_conversation_by_its_id(inbox: Any) -> None:
    theirs = _write(access_visitor(inbox, None))
    assert access_visitor_conversation(access_visitor(inbox, None), str(theirs))[0] != theirs
