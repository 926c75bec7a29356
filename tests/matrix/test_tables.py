"""Every table of an organisation has its wall. Tables are found by looking, so a new one is covered by itself."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.db.models import ForeignKey, Model

from apps.core.bases import TenantModel
from apps.core.boot import boot_check, exempt_tables, open_tables
from apps.core.tenancy import TenantUnset, tenant_scope

pytestmark = pytest.mark.django_db

TENANT_MODELS = [m for m in apps.get_models() if issubclass(m, TenantModel)]
WITH_TENANT_COLUMN = [m for m in apps.get_models() if any(f.column == "tenant_id" for f in m._meta.concrete_fields)]
TENANT_REFERENCES = [
    (model, field)
    for model in TENANT_MODELS
    for field in model._meta.concrete_fields
    if isinstance(field, ForeignKey) and issubclass(field.related_model, TenantModel)
]
# Each is a hole in the wall: one more is decided here, not where the model is.
EXEMPT_TABLES = frozenset(
    {"accounts_credential", "accounts_membership", "events_delivery", "events_outboxentry", "jobs_jobdispatch"}
)
LAYERS = [
    "core",
    "events",
    "tenants",
    "judgements",
    "accounts",
    "jobs",
    "usage",
    "inference",
    "conversations",
    "knowledge",
    "translation",
    "nlp",
    "batches",
    "insights",
    "assistant",
]


def _name(value: Any) -> str:
    return value._meta.db_table if isinstance(value, type) else getattr(value, "name", str(value))


def _default_row(model: type[Model], tenant_id: uuid.UUID) -> tuple[str, list[Any]]:
    """An INSERT with a value for each column that needs one, made from the catalogue."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT column_name, data_type, udt_name FROM information_schema.columns WHERE table_name = %s "
            "AND is_nullable = 'NO' AND column_default IS NULL AND is_identity = 'NO' AND is_generated = 'NEVER'",
            [model._meta.db_table],
        )
        columns = cursor.fetchall()
    sample = {"uuid": "gen_random_uuid()", "jsonb": "'{}'", "bool": "false", "timestamptz": "now()"}
    sample |= dict.fromkeys(("vector", "halfvec"), "NULL")
    values = []
    for name, data_type, udt in columns:
        if name == "tenant_id":
            values.append(f"'{tenant_id}'::uuid")
        elif data_type == "ARRAY":
            values.append("'{}'")
        elif udt in sample:
            values.append(sample[udt])
        else:
            values.append("1" if data_type in {"integer", "bigint", "smallint", "double precision"} else "'x'")
    names = ", ".join(f'"{name}"' for name, _, _ in columns)
    return f'INSERT INTO "{model._meta.db_table}" ({names}) VALUES ({", ".join(values)})', []


def test_tests_run_as_the_unprivileged_role() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user, rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user")
        assert cursor.fetchone() == ("app_rw", False, False)


def test_every_table_with_a_tenant_has_a_forced_wall() -> None:
    assert open_tables() == []


def test_exempt_tables_are_a_fixed_list() -> None:
    exempt = {m._meta.db_table for m in WITH_TENANT_COLUMN if not issubclass(m, TenantModel)}
    assert exempt == EXEMPT_TABLES == exempt_tables()


@pytest.mark.parametrize("table", sorted(EXEMPT_TABLES))
def test_exempt_tables_hold_no_text(table: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT column_name FROM information_schema.columns WHERE table_name = %s "
            "AND (data_type IN ('text', 'json', 'jsonb', 'ARRAY') OR character_maximum_length > 64)",
            [table],
        )
        assert cursor.fetchall() == []


@pytest.mark.parametrize("model", TENANT_MODELS, ids=_name)
def test_the_orm_refuses_outside_a_scope(model: type[Model]) -> None:
    with pytest.raises(TenantUnset):
        model._default_manager.count()


@pytest.mark.parametrize("model", TENANT_MODELS, ids=_name)
def test_no_tenant_means_no_rows_and_no_insert(model: type[Model], tenant: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f'SELECT count(*) FROM "{model._meta.db_table}"')
        assert cursor.fetchone() == (0,)
    statement, values = _default_row(model, tenant.id)
    with pytest.raises(DatabaseError, match="row-level security"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement, values)


@pytest.mark.parametrize("model", TENANT_MODELS, ids=_name)
def test_a_scope_cannot_insert_for_another(model: type[Model], tenant: Any, other_tenant: Any) -> None:
    statement, values = _default_row(model, other_tenant.id)
    with (
        pytest.raises(DatabaseError, match="row-level security"),
        tenant_scope(tenant.id),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement, values)


@pytest.mark.parametrize(("model", "field"), TENANT_REFERENCES, ids=_name)
def test_references_to_tenant_tables_are_composite(model: type[Model], field: ForeignKey) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'f' AND conrelid = %s::regclass",
            [f'"{model._meta.db_table}"'],
        )
        found = " ".join(definition for (definition,) in cursor.fetchall())
    assert (
        f"FOREIGN KEY (tenant_id, {field.column}) REFERENCES {field.related_model._meta.db_table}(tenant_id, id)"
        in found
    )


def test_a_foreign_parent_is_refused_at_commit(tenant: Any, other_tenant: Any, other_inbox: Any) -> None:
    from apps.conversations.models import Contact, Conversation
    from apps.core.clock import now

    with tenant_scope(tenant.id), connection.cursor() as cursor:
        contact = Contact.objects.create()
        Conversation.objects.create(inbox_id=other_inbox.id, contact_id=contact.id, updated_at=now())
        with pytest.raises(IntegrityError), transaction.atomic():
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("DELETE FROM conversations_conversation")


def test_foreign_keys_point_down_only() -> None:
    wrong = [
        f"{model._meta.label}.{field.name}"
        for model in apps.get_models()
        if model._meta.app_label in LAYERS
        for field in model._meta.concrete_fields
        if isinstance(field, ForeignKey)
        and field.related_model._meta.app_label in LAYERS
        and LAYERS.index(field.related_model._meta.app_label) > LAYERS.index(model._meta.app_label)
    ]
    assert wrong == []


def test_every_app_with_tables_is_in_the_layer_list() -> None:
    ours = {m._meta.app_label for m in apps.get_models() if m.__module__.startswith("apps.")}
    assert ours <= set(LAYERS)


@pytest.mark.parametrize("statement", ["UPDATE events_auditentry SET actor = 'x'", "DELETE FROM events_auditentry"])
def test_the_audit_trail_cannot_be_changed(statement: str, tenant: Any) -> None:
    with (
        pytest.raises(DatabaseError, match="permission denied"),
        tenant_scope(tenant.id),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)


def test_start_is_refused_when_a_table_is_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.core.boot.exempt_tables", frozenset)
    with pytest.raises(ImproperlyConfigured, match="accounts_credential"):
        boot_check()


def test_start_is_refused_without_a_kept_secret_key(settings: Any) -> None:
    settings.SECRET_KEY_IS_KEPT = False
    with pytest.raises(ImproperlyConfigured, match="SECRET_KEY"):
        boot_check()
