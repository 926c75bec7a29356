"""What a channel brings with a message: its own names for things, files, and texts as long as e-mails."""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import connection

from apps.conversations import attachments, channels
from apps.conversations.models import Attachment
from apps.conversations.selectors import message_get, message_text, messages_after
from apps.conversations.services import channel_declare, inbox_create, message_annotate, message_post
from apps.conversations.types import (
    MAX_ATTACHMENTS,
    MAX_BODY,
    MAX_EXTERNAL_ID,
    MAX_TEXT,
    Annotation,
    Arrival,
    ChannelKind,
    NewFile,
)
from apps.core.clock import now
from apps.core.errors import Conflict, Invalid, NotFound, StorageFull, TooLarge
from apps.core.sockets import MAX_QUEUED_BYTES
from apps.core.tenancy import tenant_scope
from apps.tenants.sweeping import files_sweep
from tests.at_once import at_once
from tests.conftest import ApiClient
from tests.conversations.conftest import Talk
from tests.conversations.test_channels import LetterSettings

PDF = NewFile("bill.pdf", "application/pdf", b"%PDF-1.7 \x00\xff")
TXT = NewFile("note.txt", "text/plain; charset=utf-8", b"hello")


def _stored(talk: Talk) -> list[str]:
    folder = str(talk.tenant_id)
    return sorted(default_storage.listdir(folder)[1]) if default_storage.exists(folder) else []


# -- names of other systems ------------------------------------------------------------------------------------------
def test_a_message_that_comes_again_is_kept_once(talk: Talk) -> None:
    first = talk.post("hi", arrival=Arrival("<1@mail.example>"))
    again = talk.post("hi once more", arrival=Arrival("<1@mail.example>", (PDF,)))
    assert (first.created, again.created, again.message.id) == (True, False, first.message.id)
    assert (len(talk.messages()), _stored(talk)) == (1, [])


def test_in_one_inbox_a_name_is_given_once(talk: Talk, tenant: Any, talk_of: Any) -> None:
    talk.post("hi", arrival=Arrival("<1@mail.example>"))
    elsewhere = talk_of(tenant)
    with pytest.raises(Conflict) as caught:
        elsewhere.post("hi", arrival=Arrival("<1@mail.example>", (PDF,)))
    assert caught.value.code == "external_id_used"
    assert (elsewhere.messages(), _stored(talk)) == ([], [])


def test_another_inbox_and_another_organisation_have_names_of_their_own(
    talk: Talk, other_talk: Talk, tenant: Any, api: ApiClient
) -> None:
    second = inbox_create(tenant_id=tenant.id, name="Second")
    there = api.post("/conversations", {"inbox": str(second.id), "external_id": "7"}).json()["id"]
    post = [talk.post, other_talk.post, Talk(tenant.id, uuid.UUID(there)).post]
    assert [one("hi", arrival=Arrival("<1@mail.example>")).created for one in post] == [True] * 3


def test_of_the_same_name_at_the_same_moment_one_wins(
    transactional_db: None, talk: Talk, tenant: Any, talk_of: Any
) -> None:
    talks = [talk, *[talk_of(tenant) for _ in range(3)]]
    results = at_once([lambda one=one: one.post("hi", arrival=Arrival("<1@mail.example>")) for one in talks])
    assert sum(isinstance(result, Conflict) for result in results) == 3
    assert sum(len(one.messages()) for one in talks) == 1


def test_a_conversation_is_found_by_its_name(
    api: ApiClient, other_api: ApiClient, inbox: Any, other_inbox: Any
) -> None:
    made = api.post("/conversations", {"external_id": "ticket-7"}).json()
    assert made["external_id"] == "ticket-7"
    assert [item["id"] for item in api.get("/conversations?external_id=ticket-7").json()["items"]] == [made["id"]]
    assert api.get("/conversations?external_id=ticket").json()["items"] == []
    assert other_api.get("/conversations?external_id=ticket-7").json()["items"] == []
    assert other_api.post("/conversations", {"external_id": "ticket-7"}).status_code == 201


def test_a_second_conversation_of_the_same_name_is_refused(api: ApiClient, inbox: Any) -> None:
    api.post("/conversations", {"external_id": "ticket-7"})
    refused = api.post("/conversations", {"external_id": "ticket-7"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "external_id_used")
    assert [api.post("/conversations", {}).status_code for _ in range(2)] == [201, 201]


def test_a_message_of_the_api_carries_its_name(api: ApiClient, talk: Talk) -> None:
    body = {"role": "contact", "text": "hi", "external_id": "m-1"}
    first, again = (api.post(f"/conversations/{talk.id}/messages", body).json() for _ in range(2))
    assert (first["external_id"], again["id"]) == ("m-1", first["id"])


@pytest.mark.parametrize("name", ["x" * (MAX_EXTERNAL_ID + 1), "a\x00b", "\ud800"])
def test_a_name_that_the_database_does_not_take_is_refused(talk: Talk, name: str) -> None:
    with pytest.raises(Invalid):
        talk.post("hi", arrival=Arrival(name))


def test_the_longest_name_fits_the_index(talk: Talk) -> None:
    name = "".join(chr(0x1F300 + number) for number in range(MAX_EXTERNAL_ID))
    assert talk.post("hi", arrival=Arrival(name)).message.external_id == name


# -- files -----------------------------------------------------------------------------------------------------------
def test_a_message_has_files(talk: Talk, api: ApiClient) -> None:
    posted = talk.post("see this", arrival=Arrival(files=(PDF, TXT))).message
    shown = api.get(f"/conversations/{talk.id}/messages").json()["items"][0]["attachments"]
    assert [(f["name"], f["media_type"], f["size_bytes"]) for f in shown] == [
        ("bill.pdf", "application/pdf", len(PDF.content)),
        ("note.txt", "text/plain", 5),
    ]
    assert shown[0]["sha256"] == hashlib.sha256(PDF.content).hexdigest()
    assert [file.as_dict() for file in posted.attachments] == shown
    assert len(_stored(talk)) == 2


def test_visitors_are_shown_files_and_no_names_of_other_systems(talk: Talk) -> None:
    talk.post("see this", arrival=Arrival("<1@mail.example>", (TXT,)))
    (shown,), _ = messages_after(tenant_id=talk.tenant_id, conversation_id=talk.id, staff=False)
    body = shown.as_dict(staff=False)
    assert [file["name"] for file in body["attachments"]] == ["note.txt"]
    assert "external_id" not in body


def test_a_file_comes_back_as_a_download(talk: Talk, api: ApiClient) -> None:
    page = NewFile("page.html", "text/html", b"<script>alert(1)</script>")
    file = talk.post("see this", arrival=Arrival(files=(page,))).message.attachments[0]
    answer = api.get(f"/conversations/{talk.id}/attachments/{file.id}")
    assert b"".join(answer.streaming_content) == page.content
    assert answer["Content-Type"] == "application/octet-stream"
    assert answer["Content-Disposition"] == 'attachment; filename="page.html"'
    assert answer["X-Content-Type-Options"] == "nosniff"


def test_a_file_of_another_conversation_looks_missing(talk: Talk, api: ApiClient, tenant: Any, talk_of: Any) -> None:
    file = talk_of(tenant).post("see this", arrival=Arrival(files=(TXT,))).message.attachments[0]
    assert api.get(f"/conversations/{talk.id}/attachments/{file.id}").status_code == 404


def test_a_file_that_was_lost_looks_missing(talk: Talk, api: ApiClient) -> None:
    file = talk.post("see this", arrival=Arrival(files=(TXT,))).message.attachments[0]
    default_storage.delete(f"{talk.tenant_id}/{_stored(talk)[0]}")
    assert api.get(f"/conversations/{talk.id}/attachments/{file.id}").status_code == 404


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\a\\bill.pdf", "bill.pdf"),
        ("a\x00b\r\nc\u202e.txt", "abc.txt"),
        ("", "file"),
        ("..", "file"),
        ("\ud800.txt", "?.txt"),
        (f"{'x' * 300}.pdf", f"{'x' * 251}.pdf"),
    ],
)
def test_a_name_of_a_stranger_is_made_plain(said: str, kept: str) -> None:
    assert attachments.file_name(said) == kept


@pytest.mark.parametrize("said", ["", "x", "text/html\r\nX: y", "a/b/c", f"text/{'x' * 200}", "text/ä"])
def test_a_media_type_that_is_none_is_unknown(talk: Talk, said: str) -> None:
    file = talk.post("hi", arrival=Arrival(files=(NewFile("a", said, b""),))).message.attachments[0]
    assert file.media_type == "application/octet-stream"


def test_files_are_bounded_in_number_and_size(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Invalid) as caught:
        talk.post("hi", arrival=Arrival(files=(TXT,) * (MAX_ATTACHMENTS + 1)))
    monkeypatch.setattr(attachments, "MAX_ATTACHMENTS_BYTES", 9)
    with pytest.raises(TooLarge):
        talk.post("hi", arrival=Arrival(files=(TXT, TXT)))
    assert caught.value.code == "attachments_too_many"
    assert (talk.messages(), _stored(talk)) == ([], [])


def test_a_message_that_is_refused_leaves_no_file(tenant: Any, inbox: Any) -> None:
    missing = Talk(tenant.id, uuid.uuid4())
    with pytest.raises(NotFound):
        missing.post("hi", arrival=Arrival(files=(TXT,)))
    assert _stored(missing) == []


def test_a_full_disk_refuses_the_message_and_keeps_none_of_its_files(
    talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    save, calls = default_storage.save, []

    def second_fails(name: str, content: Any) -> str:
        calls.append(name)
        if len(calls) == 2:
            raise StorageFull
        return save(name, content)

    monkeypatch.setattr(default_storage, "save", second_fails)
    with pytest.raises(StorageFull):
        talk.post("hi", arrival=Arrival(files=(TXT, PDF)))
    assert (talk.messages(), _stored(talk)) == ([], [])


def test_files_that_no_message_has_go_at_night(talk: Talk) -> None:
    talk.post("hi", arrival=Arrival(files=(TXT,)))
    kept = _stored(talk)
    lost = default_storage.save(f"{talk.tenant_id}/attachment-{uuid.uuid4()}", ContentFile(b"left over"))
    for name in (*kept, lost.rpartition("/")[2]):
        _make_old(Path(default_storage.path(f"{talk.tenant_id}/{name}")))
    files_sweep()
    assert _stored(talk) == kept


def _make_old(path: Path) -> None:
    then = (now() - timedelta(days=2)).timestamp()
    os.utime(path, (then, then))


# -- texts as long as e-mails ----------------------------------------------------------------------------------------
@pytest.fixture
def letters(monkeypatch: pytest.MonkeyPatch, tenant: Any, api: ApiClient) -> Talk:
    """A conversation of a kind of channel that takes the longest messages."""
    monkeypatch.setattr(channels, "_kinds", dict(channels._kinds))
    channel_declare(ChannelKind(name="letters", settings=LetterSettings, max_text=MAX_BODY))
    settings = {"address": "help@shop.example"}
    inbox = inbox_create(tenant_id=tenant.id, name="Post", channel="letters", settings=settings)
    return Talk(tenant.id, uuid.UUID(api.post("/conversations", {"inbox": str(inbox.id)}).json()["id"]))


def test_a_channel_says_how_long_its_messages_are(talk: Talk, letters: Talk) -> None:
    long = "word " * (MAX_BODY // 5 - 1) + "end"
    posted = letters.post(long).message
    assert (len(posted.text), posted.truncated) == (MAX_TEXT, True)
    assert message_text(tenant_id=letters.tenant_id, message_id=posted.id) == long
    with pytest.raises(Invalid) as caught:
        letters.post("x" * (MAX_BODY + 1))
    assert caught.value.code == "text_too_long"
    with pytest.raises(Invalid):
        talk.post("x" * (MAX_TEXT + 1))
    talk.post("x" * MAX_TEXT)


def test_the_whole_text_is_given_with_the_message_alone(letters: Talk, api: ApiClient) -> None:
    long = "x" * (MAX_TEXT + 5)
    posted = letters.post(long).message
    listed = api.get(f"/conversations/{letters.id}/messages").json()["items"][0]
    alone = api.get(f"/conversations/{letters.id}/messages/{posted.id}").json()
    assert (len(listed["text"]), listed["truncated"]) == (MAX_TEXT, True)
    assert (alone["text"], alone["truncated"]) == (long, False)


def test_a_message_of_another_conversation_looks_missing(api: ApiClient, talk: Talk, tenant: Any, talk_of: Any) -> None:
    elsewhere = talk_of(tenant).post("hi").message
    assert api.get(f"/conversations/{talk.id}/messages/{elsewhere.id}").status_code == 404


def test_words_beyond_what_is_shown_are_found(letters: Talk, api: ApiClient) -> None:
    letters.post("x " * MAX_TEXT + "zanzibar")
    assert [item["id"] for item in api.get("/conversations?q=zanzibar").json()["items"]] == [str(letters.id)]


def test_an_older_process_posts_without_knowing_of_any_of_this(talk: Talk) -> None:
    with tenant_scope(talk.tenant_id), connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO conversations_message (id, tenant_id, conversation_id, seq, prev_public_seq, role, text, private, "
            "citations, decision, created_at) "
            "VALUES (gen_random_uuid(), %s, %s, 1, 0, 'contact', 'hi', false, '[]', '', now()) RETURNING id",
            [talk.tenant_id, talk.id],
        )
        (made,) = cursor.fetchone()
    found = message_get(tenant_id=talk.tenant_id, message_id=made)
    assert (found.external_id, found.attachments, found.truncated) == (None, (), False)


def test_the_wall_stands_around_files(talk: Talk, other_talk: Talk) -> None:
    other_talk.post("hi", arrival=Arrival(files=(TXT,)))
    with tenant_scope(talk.tenant_id):
        assert Attachment.objects.count() == 0


def test_posting_needs_no_arrival(talk: Talk) -> None:
    posted = message_post(tenant_id=talk.tenant_id, conversation_id=talk.id, role="contact", text="hi")
    assert (posted.message.external_id, posted.message.attachments) == (None, ())


def test_the_largest_message_fits_what_may_wait_for_a_socket(talk: Talk) -> None:
    files = tuple(NewFile("😀" * 255, f"text/{'x' * 122}", b"") for _ in range(MAX_ATTACHMENTS))
    text = "x" + "\x01" * (MAX_TEXT - 1)
    arrival = Arrival("😀" * MAX_EXTERNAL_ID, files)
    posted = talk.post(text, role="agent", original=(text, "en"), arrival=arrival).message
    translations = {f"l{number}": "😀" * MAX_TEXT for number in range(2)}
    message_annotate(
        tenant_id=talk.tenant_id, message_id=posted.id, annotation=Annotation("en", translations=translations)
    )
    body = message_get(tenant_id=talk.tenant_id, message_id=posted.id).as_dict(staff=True)
    size_bytes = len(json.dumps(body, ensure_ascii=False).encode())
    assert 180 * 1024 < size_bytes < MAX_QUEUED_BYTES
