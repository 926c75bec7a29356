"""Nothing grows for ever: what is older than it is kept goes, in small parts, and nothing else does."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.apps import apps
from django.contrib.sessions.models import Session
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.accounts.models import Credential, Invitation
from apps.assistant.models import Reply
from apps.assistant.selectors import reply_why
from apps.conversations.models import Contact, VisitorToken
from apps.conversations.services import conversation_create
from apps.core.clock import now
from apps.core.retention import Retention, retention, retentions
from apps.core.tenancy import tenant_scope
from apps.events.models import AuditEntry, Delivery, Event, OutboxEntry
from apps.events.services import event_record
from apps.jobs.models import Job, JobDispatch
from apps.jobs.services import job_cancel, job_enqueue
from apps.tenants import pruning
from apps.tenants.pruning import retention_run

pytestmark = pytest.mark.django_db

# Every table is bounded by something, named here; a new one has to be thought about.
REMOVED_BY_AGE = {
    "events_event",
    "events_delivery",
    "events_outboxentry",
    "jobs_job",
    "jobs_jobdispatch",  # with its job
    "conversations_visitortoken",
    "django_session",
    "accounts_invitation",
}
PRUNED_ELSEWHERE = {
    "usage_idempotencyrecord",  # 24 hours
    "analysis_batch",  # batch_retention_days, with its rows and cells
    "analysis_batchrow",
    "analysis_batchcell",
    "analysis_translateddocument",  # a week
}
BOUNDED_BY_NUMBER = {
    "analysis_classifier",  # 200
    "analysis_classifierexample",  # 5,000 each
    "analysis_classifierversion",  # 20 each
    "analysis_glossaryentry",
    "analysis_memoryterm",  # of those
    "analysis_memoryunit",  # 100,000
}
# What an organisation keeps until it deletes it, or goes.
RECORDS = {
    "conversations_attachment",  # with its message
    "conversations_contact",
    "conversations_contactterm",  # with its contact
    "conversations_conversation",
    "conversations_conversationtag",
    "conversations_conversationterm",  # with its messages
    "conversations_message",
    "conversations_draft",
    "conversations_rating",
    "conversations_inbox",
    "analysis_messagevector",
    "assistant_reply",  # its `why` is emptied
    "judgements_judgement",  # with its target
    "knowledge_source",
    "knowledge_sourcefile",
    "knowledge_document",
    "knowledge_chunk",
    "knowledge_chunkterm",
    "knowledge_chunkvector",
    "tenants_organization",
    "accounts_user",
    "accounts_membership",
    "accounts_apikey",
    "accounts_credential",
}
# One row or few for each account, or for each model of the code.
OF_ACCOUNTS_AND_CODE = {
    "account_emailaddress",
    "account_emailconfirmation",  # none is written: confirmations are signed, not stored
    "auth_group",
    "auth_permission",
    "django_content_type",
    "inference_vectorspace",  # one for each kind of an organisation's vectors
}
EXEMPT = {"events_auditentry"}


def test_every_table_is_bounded_by_something_that_is_named_here() -> None:
    tables = {model._meta.db_table for model in apps.get_models()}
    named = REMOVED_BY_AGE | PRUNED_ELSEWHERE | BOUNDED_BY_NUMBER | RECORDS | OF_ACCOUNTS_AND_CODE | EXEMPT
    assert tables - named == set()


def test_what_is_removed_by_age_is_registered() -> None:
    assert {found.table for found in retentions()} | {"jobs_jobdispatch"} == REMOVED_BY_AGE | {"assistant_reply"}


def test_the_audit_trail_has_no_retention() -> None:
    assert {found.table for found in retentions()} & EXEMPT == set()


def _ago(days: float) -> Any:
    return now() - timedelta(days=days)


def _events(tenant: Any, days: float, count: int = 1, type: str = "test.happened") -> set[uuid.UUID]:
    with tenant_scope(tenant.id):
        ids = {event_record(type=type, subject_type="thing", subject_id=uuid.uuid4()) for _ in range(count)}
        Event.objects.filter(id__in=ids).update(created_at=_ago(days))
    return ids


def _kept_events(tenant: Any) -> set[uuid.UUID]:
    with tenant_scope(tenant.id):
        return set(Event.objects.filter(type__startswith="test.").values_list("id", flat=True))


def test_events_go_after_their_days_and_the_audit_trail_stays(tenant: Any, other_tenant: Any, settings: Any) -> None:
    settings.RETENTION_EVENTS_DAYS = 10
    _events(tenant, 10.1, 3)
    _events(tenant, 300, 2, type="test.other")
    _events(other_tenant, 11)
    young = _events(tenant, 9.9, 2) | _events(tenant, 1, type="test.third")
    with tenant_scope(tenant.id):
        audited = AuditEntry.objects.count()
    assert retention_run()["events"] == 6
    assert (_kept_events(tenant), _kept_events(other_tenant)) == (young, set())
    with tenant_scope(tenant.id):
        assert AuditEntry.objects.count() == audited > 0


def _job(tenant: Any, status: str, days: float) -> uuid.UUID:
    with tenant_scope(tenant.id):
        job_id = job_enqueue(tenant_id=tenant.id, kind="knowledge.files_delete", payload={"names": []})
        ended = status not in {"queued", "running"}
        Job.objects.filter(id=job_id).update(created_at=_ago(days), finished_at=_ago(days) if ended else None)
        JobDispatch.objects.filter(job_id=job_id).update(status=status)
    return job_id


def test_ended_jobs_go_with_their_dispatch_rows_and_others_never(tenant: Any, settings: Any) -> None:
    settings.RETENTION_JOBS_DAYS = 30
    for status in ("done", "failed", "cancelled", "dead"):
        _job(tenant, status, 31)
    kept = {_job(tenant, "queued", 400), _job(tenant, "running", 400), _job(tenant, "done", 29)}
    assert retention_run()["jobs"] == 4
    with tenant_scope(tenant.id):
        assert set(Job.objects.values_list("id", flat=True)) == kept
    assert set(JobDispatch.objects.values_list("job_id", flat=True)) == kept


def test_a_cancelled_job_has_an_end_to_count_from(tenant: Any) -> None:
    job_id = _job(tenant, "queued", 1)
    job_cancel(tenant_id=tenant.id, job_id=job_id)
    with tenant_scope(tenant.id):
        assert Job.objects.get(id=job_id).finished_at is not None


def test_dead_and_unknown_deliveries_go_and_those_on_their_way_never(tenant: Any, settings: Any) -> None:
    settings.RETENTION_DELIVERIES_DAYS = 30
    for state, days in (("dead", 31), ("unknown", 31), ("dead", 29), ("unknown", 29), ("pending", 300)):
        Delivery.objects.create(
            tenant_id=tenant.id,
            event_id=uuid.uuid4(),
            subject_id=uuid.uuid4(),
            handler="test.handler",
            state=state,
            next_attempt_at=_ago(days),
            created_at=_ago(days),
        )
    OutboxEntry.objects.create(tenant_id=tenant.id, event_id=uuid.uuid4(), state="dead")
    OutboxEntry.objects.filter(state="dead").update(next_attempt_at=_ago(31))
    removed = retention_run()
    assert (removed["deliveries"], removed["outbox"]) == (2, 1)
    assert sorted(Delivery.objects.values_list("state", flat=True)) == ["dead", "pending", "unknown"]


def _reply(tenant: Any, days: float, **columns: Any) -> uuid.UUID:
    conversation_id = conversation_create(tenant_id=tenant.id, contact={}).id
    with tenant_scope(tenant.id):
        row = Reply(conversation_id=conversation_id, covers_from_seq=1, covers_to_seq=1, status="done")
        row.decision, row.finished_at, row.message_id = "answer", _ago(days), uuid.uuid4()
        row.why = {"model": "small", "passages": [{"text": "x"}]}
        for name, value in columns.items():
            setattr(row, name, value)
        row.save()
    return row.message_id


def test_why_is_emptied_and_the_model_stays(tenant: Any, inbox: Any, settings: Any) -> None:
    settings.RETENTION_WHY_DAYS = 90
    before, after, young = _reply(tenant, 91), _reply(tenant, 91, model="small@1f2e"), _reply(tenant, 89)
    assert retention_run()["why"] == 2
    found = [reply_why(tenant_id=tenant.id, message_id=message_id) for message_id in (before, after, young)]
    assert [(why["kept"], why["model"], why["decision"], "passages" in why) for why in found] == [
        (False, "small", "answer", False),
        (False, "small@1f2e", "answer", False),
        (True, "small", "answer", True),
    ]
    assert retention_run()["why"] == 0


def test_a_token_stays_until_none_takes_it_for_a_new_one(tenant: Any, inbox: Any) -> None:
    """Without its row a token that still proves itself would be let in again, to what it had opened."""
    with tenant_scope(tenant.id):
        contact = Contact.objects.create()
        for days in (-1, 1, 29, 31):
            VisitorToken.objects.create(
                digest=str(days), inbox_id=inbox.id, contact_id=contact.id, expires_at=_ago(days)
            )
        retention_run()
        assert set(VisitorToken.objects.values_list("digest", flat=True)) == {"-1", "1", "29"}


def test_sessions_go_when_they_end(db: None) -> None:
    for key, days in (("ended", 1), ("open", -1)):
        Session.objects.create(session_key=key, session_data="", expire_date=_ago(days))
    assert retention_run()["sessions"] == 1
    assert [session.session_key for session in Session.objects.all()] == ["open"]


def test_invitations_go_when_nobody_has_use_for_them(tenant: Any) -> None:
    ends = {
        "accepted long ago": {"accepted_at": _ago(91), "expires_at": _ago(84)},
        "withdrawn long ago": {"revoked_at": _ago(91), "expires_at": _ago(84)},
        "ran out long ago": {"expires_at": _ago(91)},
        "ran out": {"expires_at": _ago(89)},
        "accepted": {"accepted_at": _ago(1), "expires_at": _ago(-6)},
        "open": {"expires_at": _ago(-1)},
    }
    with tenant_scope(tenant.id):
        for name, times in ends.items():
            made = Invitation.objects.create(
                email=f"{name.replace(' ', '.')}@acme.example", name=name, role="agent", **times
            )
            Credential.objects.create(digest=name, tenant_id=tenant.id, kind="invite", object_id=made.id)
    assert retention_run()["invitations"] == 3
    with tenant_scope(tenant.id):
        assert set(Invitation.objects.values_list("name", flat=True)) == {"ran out", "accepted", "open"}
    kept = Credential.objects.filter(kind="invite").values_list("digest", flat=True)
    assert set(kept) == {"ran out", "accepted", "open"}


# -- in small parts --------------------------------------------------------------------------------------------------
def _deletions(found: CaptureQueriesContext) -> int:
    return sum("DELETE FROM events_event " in query["sql"] for query in found.captured_queries)


def test_no_statement_takes_more_rows_than_a_part_has(tenant: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "PAUSE_S", 0.0)
    _events(tenant, 500, 7)
    with CaptureQueriesContext(connection) as found:
        assert retention_run(part_rows=3)["events"] == 7
    assert _deletions(found) == 3


def test_a_run_ends_when_its_time_is_over_and_the_next_one_goes_on(tenant: Any) -> None:
    _events(tenant, 500, 5)
    assert retention_run(run_s=-1) == {}
    assert retention_run()["events"] == 5


def test_an_organisation_with_much_does_not_keep_the_others_waiting(
    tenant: Any, other_tenant: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "PAUSE_S", 0.0)
    _events(tenant, 500, 9)
    _events(other_tenant, 500, 1)
    turns: list[uuid.UUID | None] = []
    real = pruning._part

    def part(found: Retention, tenant_id: uuid.UUID | None, most: int) -> int:
        count = real(found, tenant_id, most)
        if found.name == "events" and count:
            turns.append(tenant_id)
        return count

    monkeypatch.setattr(pruning, "_part", part)
    retention_run(part_rows=2)
    assert turns.index(other_tenant.id) <= 1


def test_what_fails_does_not_stop_the_rest(tenant: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(before: Any, most: int) -> int:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 / 0")
        return 0

    broken = [Retention("broken", "x", "", each, fails) for each in (True, False)]
    monkeypatch.setattr(pruning, "retentions", lambda: [*broken, *retentions()])
    _events(tenant, 500, 2)
    assert retention_run()["events"] == 2


def test_a_name_is_registered_once() -> None:
    with pytest.raises(ValueError, match="retention already"):
        retention("events", table="x")(lambda before, most: 0)


@pytest.mark.parametrize("value", ["0", "-3"])
def test_keeping_for_less_than_a_day_is_refused(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from nlpsuite.settings.parts.retention import _days

    monkeypatch.setenv("RETENTION_JOBS_DAYS", value)
    with pytest.raises(ValueError, match="RETENTION_JOBS_DAYS"):
        _days("RETENTION_JOBS_DAYS", 30)


@pytest.mark.parametrize("name", sorted(found.name for found in retentions()))
def test_old_rows_are_found_by_an_index(name: str, tenant: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else each hour would read the whole table to find that nothing is old."""
    found = next(one for one in retentions() if one.name == name)
    asked: list[tuple[str, Any]] = []
    module = __import__(found.remove.__module__, fromlist=["statement"])
    monkeypatch.setattr(module, "statement", lambda sql, values: asked.append((sql, values)) or 0)
    with tenant_scope(tenant.id), connection.cursor() as cursor:
        found.remove(found.before(), 1000)
        ((sql, values),) = asked
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN {sql}", values)
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "Seq Scan" not in plan
