"""The conversation routes: what they take, what they refuse and with which code, how they page."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from apps.conversations.models import Conversation, Message
from apps.conversations.services import inbox_create
from apps.core.clock import now
from apps.core.tenancy import tenant_scope
from apps.usage.models import IdempotencyRecord
from tests.at_once import at_once
from tests.conftest import ApiClient


@pytest.fixture
def conversation(api: ApiClient, inbox: Any) -> str:
    return api.post("/conversations", {"contact": {"name": "Ada", "email": "ada@c.example"}}).json()["id"]


def _say(api: ApiClient, conversation: str, text: str = "hi", **extra: Any) -> Any:
    return api.post(f"/conversations/{conversation}/messages", {"role": "contact", "text": text, **extra})


def _code(response: Any) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


def _many(api: ApiClient, count: int) -> list[str]:
    """`count` conversations with a message each; returns their ids, last changed first."""
    ids = [api.post("/conversations", {"contact": {"name": f"P{n}"}}).json()["id"] for n in range(count)]
    for one in ids:
        _say(api, one, f"text {one}")
    return ids[::-1]


# -- creating --------------------------------------------------------------------------------------------------------
def test_a_conversation_comes_back_as_the_contract_says(api: ApiClient, inbox: Any) -> None:
    response = api.post(
        "/conversations", {"contact": {"name": "Ada", "email": "ada@c.example"}, "inbox": str(inbox.id)}
    )
    body = response.json()
    assert response.status_code == 201
    assert (body["contact"]["name"], body["inbox_id"], body["status"]) == ("Ada", str(inbox.id), "open")


def test_the_first_inbox_is_taken_when_none_is_named(api: ApiClient, tenant: Any, inbox: Any) -> None:
    inbox_create(tenant_id=tenant.id, name="Second")
    assert api.post("/conversations", {}).json()["inbox_id"] == str(inbox.id)


def test_without_an_inbox_there_is_no_conversation(api: ApiClient) -> None:
    assert _code(api.post("/conversations", {})) == (404, "inbox_not_found")


def test_a_message_comes_back_with_its_seq(api: ApiClient, conversation: str) -> None:
    response = _say(api, conversation, "When?")
    body = response.json()
    assert response.status_code == 201
    assert (body["seq"], body["role"], body["text"], body["citations"]) == (1, "contact", "When?", [])
    assert body["created_at"].endswith("Z")


def test_a_member_writes_under_the_own_name(conversation: str, member: Any) -> None:
    client = Client(headers={"Host": "127.0.0.1"})
    client.force_login(member)
    body = client.post(
        f"/api/v1/conversations/{conversation}/messages",
        {"role": "agent", "text": "hello"},
        content_type="application/json",
    ).json()
    assert body["author"]["name"] == "Owner"


def test_a_key_writes_as_the_team(api: ApiClient, conversation: str) -> None:
    assert _say(api, conversation, role="agent").json()["author"] is None


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"role": "contact", "text": ""}, "text_empty"),
        ({"role": "contact", "text": "x" * 10_001}, "text_too_long"),
        ({"role": "contact", "text": "\ud800"}, "text_invalid"),
        ({"role": "contact", "text": "x", "private": True}, "private_invalid"),
        ({"role": "contact", "text": "x", "client_id": "7"}, "client_id_invalid"),
        ({"role": "bot", "text": "x"}, "invalid"),
        ({"role": "system", "text": "x"}, "invalid"),
        ({"text": "x"}, "invalid"),
        ({"role": "contact"}, "invalid"),
        ({"role": "contact", "text": 7}, "invalid"),
        ([], "invalid"),
    ],
)
def test_a_bad_message_is_refused_with_its_code(api: ApiClient, conversation: str, body: Any, code: str) -> None:
    assert _code(api.post(f"/conversations/{conversation}/messages", body)) == (422, code)


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"status": "gone"}, 422, "invalid"),
        ({"handler": "cat"}, 422, "invalid"),
        ({"labels": ["x" * 41]}, 422, "invalid"),
        ({"labels": [""]}, 422, "invalid"),
        ({"labels": ["x"] * 21}, 422, "invalid"),
        ({"subject": "x" * 999}, 422, "invalid"),
        ({"subject": None}, 422, "value_missing"),
        ({"last_seq": 5}, 422, "invalid"),
        ({"assignee_id": "me"}, 422, "assignee_invalid"),
        ({"assignee_id": "nobody"}, 404, "not_found"),
        ({"assignee_id": str(uuid.uuid4())}, 404, "not_found"),
    ],
)
def test_a_bad_change_is_refused_with_its_code(
    api: ApiClient, conversation: str, changes: Any, status: int, code: str
) -> None:
    assert _code(api.patch(f"/conversations/{conversation}", changes)) == (status, code)


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"\xff\xfe", b"[" * 2000, b'{"text": NaN}', b'{"role": "contact", "text": "x"', b"null", b"1e400"],
)
def test_a_body_that_is_no_json_object_is_refused(api: ApiClient, conversation: str, body: bytes) -> None:
    response = Client(headers={"Host": "127.0.0.1", "Authorization": f"Bearer {api.secret}"}).generic(
        "POST", f"/api/v1/conversations/{conversation}/messages", body, content_type="application/json"
    )
    assert 400 <= response.status_code < 500
    assert set(response.json()["error"]) >= {"code", "message", "request_id"}


NUL = "a\x00b"


def test_nul_in_any_text_is_no_server_error(api: ApiClient, conversation: str) -> None:
    """PostgreSQL keeps no NUL: refused or dropped, never a 500."""
    path = f"/conversations/{conversation}"
    statuses = [
        api.post("/conversations", {"contact": {"name": NUL}}).status_code,
        api.post("/conversations", {"contact": {"email": NUL}}).status_code,
        api.post("/conversations", {"inbox": NUL}).status_code,
        api.patch(path, {"subject": NUL}).status_code,
        api.patch(path, {"labels": [NUL]}).status_code,
        api.patch(path, {"assignee_id": NUL}).status_code,
        _say(api, conversation, NUL).status_code,
        api.get("/conversations?q=a%00b").status_code,
        api.get("/conversations?label=a%00b").status_code,
        api.get("/conversations?status=%00").status_code,
        api.get("/conversations?assignee=%00").status_code,
        api.get("/conversations?cursor=%00").status_code,
    ]
    assert [status for status in statuses if status >= 500] == []


def test_lone_surrogates_are_no_server_error(api: ApiClient, conversation: str) -> None:
    path = f"/conversations/{conversation}"
    statuses = [
        api.post("/conversations", {"contact": {"name": "\ud800"}}).status_code,
        api.patch(path, {"subject": "\ud800"}).status_code,
        api.patch(path, {"labels": ["\udfff"]}).status_code,
    ]
    assert [status for status in statuses if status >= 500] == []


# -- lists -----------------------------------------------------------------------------------------------------------
def test_conversations_without_a_message_are_not_listed(api: ApiClient, conversation: str) -> None:
    assert api.get("/conversations").json() == {"items": [], "next_cursor": None}


def test_pages_follow_each_other_without_gap_or_repeat(api: ApiClient, inbox: Any) -> None:
    wanted, found, cursor = _many(api, 7), [], ""
    while True:
        page = api.get(f"/conversations?limit=3&cursor={cursor}").json()
        found.append([item["id"] for item in page["items"]])
        cursor = page["next_cursor"]
        if not cursor:
            break
    assert [one for page in found for one in page] == wanted
    assert [len(page) for page in found] == [3, 3, 1]


def test_a_page_stays_whole_when_something_new_arrives(api: ApiClient, inbox: Any) -> None:
    wanted = _many(api, 4)
    first = api.get("/conversations?limit=2").json()
    _many(api, 1)
    second = api.get(f"/conversations?limit=2&cursor={first['next_cursor']}").json()
    assert [item["id"] for item in first["items"] + second["items"]] == wanted


def test_pages_part_rows_of_the_same_moment(api: ApiClient, tenant: Any, inbox: Any) -> None:
    wanted = set(_many(api, 5))
    with tenant_scope(tenant.id):
        Conversation.objects.update(updated_at=now() - timedelta(hours=1))
    first = api.get("/conversations?limit=2").json()
    second = api.get(f"/conversations?limit=3&cursor={first['next_cursor']}").json()
    assert {item["id"] for item in first["items"] + second["items"]} == wanted


@pytest.mark.parametrize("limit", ["0", "101", "-1", "x", "1e9", str(2**70)])
def test_a_limit_is_from_1_to_100(api: ApiClient, inbox: Any, limit: str) -> None:
    assert api.get(f"/conversations?limit={limit}").status_code == 422


@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        "é",
        "AAAA",
        "W10",  # []
        "WzFd",  # [1]
        "WyJ4IiwieCJd",  # ["x","x"]
        "WyIyMDI2LTAxLTAxIiwieCJd",  # ["2026-01-01","x"]
        "WyIwMDAwLTAwLTAwIiwieCJd",  # ["0000-00-00","x"]
        "WyJcdTAwMDAiLCJ4Il0",  # ["\u0000","x"]
        "bnVsbA",  # null
        "x" * 3000,
    ],
)
def test_a_cursor_that_is_not_ours_is_refused(api: ApiClient, inbox: Any, cursor: str) -> None:
    assert _code(api.get(f"/conversations?cursor={cursor}")) == (422, "cursor_invalid")


def test_filters_narrow_the_list(api: ApiClient, inbox: Any, member: Any) -> None:
    resolved, assigned, labelled, plain = _many(api, 4)
    api.patch(f"/conversations/{resolved}", {"status": "resolved"})
    api.patch(f"/conversations/{assigned}", {"assignee_id": str(member.id)})
    api.patch(f"/conversations/{labelled}", {"labels": ["billing", "vip"]})
    queries = {
        "status=resolved": {resolved},
        "status=open": {assigned, labelled, plain},
        "handler=person": {assigned},
        "handler=bot": {resolved, labelled, plain},
        f"assignee={member.id}": {assigned},
        "assignee=none": {resolved, labelled, plain},
        "label=vip": {labelled},
        "label=v": set(),
        "q=P2": {assigned},
        f"q={plain}": {plain},
        "q=%25": set(),
        "status=open&handler=bot&assignee=none": {labelled, plain},
    }
    found = {query: {item["id"] for item in api.get(f"/conversations?{query}").json()["items"]} for query in queries}
    assert found == queries


@pytest.mark.parametrize(("query", "code"), [("status=x", "status_invalid"), ("handler=x", "handler_invalid")])
def test_an_unknown_filter_value_is_refused(api: ApiClient, inbox: Any, query: str, code: str) -> None:
    assert _code(api.get(f"/conversations?{query}")) == (422, code)


def test_me_is_the_signed_in_member(api: ApiClient, conversation: str, member: Any) -> None:
    _say(api, conversation)
    api.patch(f"/conversations/{conversation}", {"assignee_id": str(member.id)})
    client = Client(headers={"Host": "127.0.0.1"})
    client.force_login(member)
    assert [item["id"] for item in client.get("/api/v1/conversations?assignee=me").json()["items"]] == [conversation]


def test_messages_are_read_on_from_a_seq(api: ApiClient, conversation: str) -> None:
    for number in range(5):
        _say(api, conversation, str(number))
    page = api.get(f"/conversations/{conversation}/messages?after_seq=2&limit=2").json()
    assert ([item["seq"] for item in page["items"]], page["next_cursor"], page["has_more"]) == ([3, 4], "4", True)


@pytest.mark.parametrize("after", ["-5", "99999999999999999999999", "2147483648"])
def test_a_seq_beyond_all_is_no_error(api: ApiClient, conversation: str, after: str) -> None:
    assert api.get(f"/conversations/{conversation}/messages?after_seq={after}").status_code == 200


def test_reading_as_a_member_marks_as_seen(api: ApiClient, conversation: str, member: Any) -> None:
    _say(api, conversation)
    client = Client(headers={"Host": "127.0.0.1"})
    client.force_login(member)
    client.get(f"/api/v1/conversations/{conversation}/messages")
    assert client.get(f"/api/v1/conversations/{conversation}").json()["unread"] == 0


def test_reading_by_a_program_does_not_mark_as_seen(api: ApiClient, conversation: str) -> None:
    _say(api, conversation)
    api.get(f"/conversations/{conversation}/messages")
    assert api.get(f"/conversations/{conversation}").json()["unread"] == 1


# -- saying the same thing twice -------------------------------------------------------------------------------------
def _stored(tenant: Any) -> int:
    with tenant_scope(tenant.id):
        return Message.objects.count()


def test_the_same_key_and_body_give_the_same_answer_once(api: ApiClient, tenant: Any, conversation: str) -> None:
    path, body = f"/conversations/{conversation}/messages", {"role": "contact", "text": "hi"}
    answers = [api.post(path, body, **{"Idempotency-Key": "k"}) for _ in range(3)]
    assert [(answer.status_code, answer.json()) for answer in answers] == [(201, answers[0].json())] * len(answers)
    assert _stored(tenant) == 1


def test_the_same_key_with_another_body_is_refused(api: ApiClient, tenant: Any, conversation: str) -> None:
    path = f"/conversations/{conversation}/messages"
    api.post(path, {"role": "contact", "text": "hi"}, **{"Idempotency-Key": "k"})
    again = api.post(path, {"role": "contact", "text": "other"}, **{"Idempotency-Key": "k"})
    assert _code(again) == (409, "idempotency_key_reused")
    assert _stored(tenant) == 1


def test_the_same_key_on_another_path_is_refused(api: ApiClient, conversation: str) -> None:
    api.post(f"/conversations/{conversation}/messages", {"role": "contact", "text": "hi"}, **{"Idempotency-Key": "k"})
    assert _code(api.post("/conversations", {}, **{"Idempotency-Key": "k"})) == (409, "idempotency_key_reused")


def test_a_refused_request_leaves_its_key_free(api: ApiClient, conversation: str) -> None:
    path = f"/conversations/{conversation}/messages"
    api.post(path, {"role": "contact", "text": ""}, **{"Idempotency-Key": "k"})
    assert api.post(path, {"role": "contact", "text": "hi"}, **{"Idempotency-Key": "k"}).status_code == 201


def test_keys_of_two_callers_are_not_the_same(
    api: ApiClient, other_api: ApiClient, conversation: str, other_inbox: Any
) -> None:
    api.post("/conversations", {}, **{"Idempotency-Key": "k"})
    mine = other_api.post("/conversations", {}, **{"Idempotency-Key": "k"})
    assert mine.json()["inbox_id"] == str(other_inbox.id)


def test_a_key_is_forgotten_after_a_day(api: ApiClient, tenant: Any, conversation: str) -> None:
    path, body = f"/conversations/{conversation}/messages", {"role": "contact", "text": "hi"}
    api.post(path, body, **{"Idempotency-Key": "k"})
    with tenant_scope(tenant.id):
        IdempotencyRecord.objects.update(created_at=now() - timedelta(hours=24, seconds=1))
    api.post(path, body, **{"Idempotency-Key": "k"})
    assert _stored(tenant) == 2


@pytest.mark.parametrize("key", ["x" * 999, "a\tb", "\u00a0x\u00ad"])
def test_a_key_that_cannot_be_kept_is_refused(api: ApiClient, inbox: Any, key: str) -> None:
    assert _code(api.post("/conversations", {}, **{"Idempotency-Key": key})) == (422, "idempotency_key_invalid")


def test_repeats_at_the_same_moment_act_once(
    transactional_db: None, api: ApiClient, tenant: Any, conversation: str
) -> None:
    path, body = f"/conversations/{conversation}/messages", {"role": "contact", "text": "hi"}
    answers = at_once([lambda: ApiClient(api.secret).post(path, body, **{"Idempotency-Key": "k"})] * 8)
    assert [(answer.status_code, answer.json()) for answer in answers] == [(201, answers[0].json())] * len(answers)
    assert _stored(tenant) == 1
