"""B8: no migration breaks the processes of the version before, or holds a table for long.

While a deployment is under way, old processes read and write the new schema. So a migration adds; what old code reads or
writes is never taken away, renamed or narrowed in the same release, and a column that it does not know fills itself in.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.apps import apps
from django.contrib.postgres.operations import AddConstraintNotValid, AddIndexConcurrently, ValidateConstraint
from django.db import connection, migrations, models
from django.db.migrations.loader import MigrationLoader
from django.db.models import NOT_PROVIDED

# The last migrations of the version whose processes may still run beside this one. Tables made since then are not theirs.
VERSION_BEFORE = {
    "accounts": 3,
    "analysis": 5,
    "assistant": 2,
    "conversations": 6,
    "events": 2,
    "jobs": 5,
    "knowledge": 1,
    "tenants": 1,
    "usage": 2,
}
# Migrations that change rows in one transaction or drop a constraint, and why old processes can live with it.
EXCEPTIONS = {
    "accounts.0005_proven_addresses": "changes accounts of staff, of which an installation has thousands at most",
    "analysis.0006_spaces": "adds a column with a default that the database keeps: no row is written",
    "analysis.0007_spaces_keys": "old processes write one space only, in which the new constraint says the same",
    "inference.0001_spaces": "writes two rows for each organisation into a new table",
    "knowledge.0003_spaces_of_before": "writes new tables only, in parts; removing a source waits for it",
}
_EXCUSED = (migrations.RunPython, migrations.RemoveConstraint)
# Dropping an index that only made reading faster is a change of the catalogue.
_ADDING = (
    migrations.CreateModel,
    AddIndexConcurrently,
    AddConstraintNotValid,
    ValidateConstraint,
    migrations.RemoveIndex,
)
_BREAKING = (
    migrations.RemoveField,
    migrations.RenameField,
    migrations.DeleteModel,
    migrations.RenameModel,
    migrations.AlterModelTable,
    migrations.AlterUniqueTogether,
)
# What a statement may not do to a table that old processes use. Tables that the same migration creates are free.
_REFUSED_SQL = {
    r"\bDROP (?:TABLE|COLUMN)\b": "takes away what old processes read",
    r"\bRENAME\b": "renames what old processes read",
    r"\bALTER COLUMN \S+ (?:TYPE|SET NOT NULL)\b": "rewrites or scans the table under an exclusive lock",
    r"\bLOCK TABLE\b": "locks the table",
    r"\bTRUNCATE\b": "takes away rows",
    r"\bCREATE (?:UNIQUE )?INDEX (?!CONCURRENTLY)": "blocks writes while the index is built",
    r"\bADD CONSTRAINT\b(?!.*\b(?:NOT VALID|USING INDEX)\b)": "scans the table under a lock; NOT VALID first, then validate",
}


def _ours() -> dict[str, Any]:
    labels = {config.label for config in apps.get_app_configs() if config.name.startswith("apps.")}
    loader = MigrationLoader(None, ignore_no_migrations=True)
    return {
        f"{app}.{name}": migration
        for (app, name), migration in loader.disk_migrations.items()
        if app in labels and int(name[:4]) > VERSION_BEFORE.get(app, 0)
    }


MIGRATIONS = _ours()


def _tables_made(migration: Any) -> set[str]:
    creating = [one for one in migration.operations if isinstance(one, migrations.CreateModel)]
    return {f"{migration.app_label}_{one.name.lower()}" for one in creating}


NEW_TABLES = {table for migration in MIGRATIONS.values() for table in _tables_made(migration)}


def problems(migration: Any) -> list[str]:
    """Return what would break old processes, or hold a table, one line each."""
    made = NEW_TABLES | _tables_made(migration)
    found: list[str] = []
    for operation in migration.operations:
        found += _of(operation, migration, made)
    return found


def _of(operation: Any, migration: Any, made: set[str]) -> list[str]:
    what = f"{type(operation).__name__} {operation.describe()}"
    if isinstance(operation, _ADDING):
        return []
    if isinstance(operation, _BREAKING):
        return [f"{what}: old processes still use it; do it one release later"]
    if isinstance(operation, migrations.SeparateDatabaseAndState):
        return [line for one in operation.database_operations for line in _of(one, migration, made)]
    if f"{migration.app_label}_{getattr(operation, 'model_name', '').lower()}" in made:
        return []
    if isinstance(operation, migrations.AddField):
        return _of_field(what, operation.field)
    if isinstance(operation, migrations.RunSQL):
        return [line for text in _statements(operation.sql) for line in _of_sql(text, made)]
    if isinstance(operation, _EXCUSED) and f"{migration.app_label}.{migration.name}" in EXCEPTIONS:
        return []
    if isinstance(operation, migrations.RunPython):
        alone = migration.atomic is False or operation.atomic is False
        return [] if alone else [f"{what}: one transaction over rows; set atomic = False and go in parts"]
    if isinstance(operation, migrations.AddIndex):
        return [f"{what}: blocks writes; use AddIndexConcurrently"]
    if isinstance(operation, migrations.AlterField | migrations.AlterModelOptions | migrations.AlterModelManagers):
        return []  # its statements are looked at below
    return [f"{what}: not on the list of what is known to be safe"]


def _of_field(what: str, field: models.Field) -> list[str]:
    fills_itself = field.null or field.db_default is not NOT_PROVIDED or getattr(field, "generated", False)
    lines = [] if fills_itself else [f"{what}: old processes insert without it; make it null or give db_default"]
    if field.unique or (field.db_index and not isinstance(field, models.ForeignKey)):
        lines.append(f"{what}: builds an index under a lock; add it with AddIndexConcurrently")
    return lines


def _statements(given: Any) -> list[str]:
    parts = [given] if isinstance(given, str) else [part if isinstance(part, str) else part[0] for part in given]
    return [" ".join(part.split()) for part in parts if part]


def _of_sql(text: str, made: set[str]) -> list[str]:
    if any(re.search(rf'\b(?:ALTER TABLE|ON)\s+(?:ONLY\s+)?"?{table}"?', text) for table in made):
        return []
    return [f"{text[:100]}: {why}" for pattern, why in _REFUSED_SQL.items() if re.search(pattern, text, re.IGNORECASE)]


@pytest.mark.parametrize("name", sorted(MIGRATIONS))
def test_a_migration_is_safe_beside_old_processes(name: str) -> None:
    assert problems(MIGRATIONS[name]) == []


@pytest.mark.django_db
@pytest.mark.parametrize("name", sorted(MIGRATIONS))
def test_a_changed_column_is_changed_in_the_code_only(name: str) -> None:
    """Choices, help texts and the like make no statement; what makes one is not done beside old processes."""
    loader = MigrationLoader(connection)
    migration = MIGRATIONS[name]
    state = loader.project_state([(migration.app_label, migration.name)], at_end=False)
    altering = [one for one in migration.operations if isinstance(one, migrations.AlterField)]
    altering = [one for one in altering if not _only_longer(one, state, migration.app_label)]
    statements: list[str] = []
    for operation in altering:
        with connection.schema_editor(collect_sql=True, atomic=False) as editor:
            after = state.clone()
            operation.state_forwards(migration.app_label, after)
            operation.database_forwards(migration.app_label, editor, state, after)
            statements += [line for line in editor.collected_sql if not line.startswith("--")]
    assert [line for line in statements if not _only_widens(line)] == []


def _only_longer(operation: migrations.AlterField, state: Any, app_label: str) -> bool:
    """Since 9.2 PostgreSQL keeps rows and indexes when a varchar may be longer: it changes the catalogue alone."""
    before = state.models[app_label, operation.model_name_lower].fields[operation.name]
    after = operation.field
    if type(before) is not models.CharField or type(after) is not models.CharField:
        return False
    kept = [{**field.deconstruct()[3], "max_length": None} for field in (before, after)]
    return kept[0] == kept[1] and (after.max_length or 0) >= (before.max_length or 0)


def _only_widens(statement: str) -> bool:
    """Dropping NOT NULL and setting or dropping a default are changes of the catalogue alone."""
    return (
        bool(re.search(r"ALTER COLUMN \S+ (?:DROP NOT NULL|SET DEFAULT|DROP DEFAULT)", statement))
        and "," not in statement
    )


# -- the rule itself -------------------------------------------------------------------------------------------------
def _migration(*operations: Any, atomic: bool = True) -> Any:
    one = migrations.Migration("9999_tried", "conversations")
    one.operations, one.atomic = list(operations), atomic
    return one


TEXT = models.TextField()


@pytest.mark.parametrize(
    "operation",
    [
        migrations.RemoveField("message", "text"),
        migrations.RenameField("message", "text", "body"),
        migrations.DeleteModel("Message"),
        migrations.RenameModel("Message", "Post"),
        migrations.AddField("message", "mood", models.TextField()),
        migrations.AddField("message", "mood", models.TextField(default="", blank=True)),
        migrations.AddField("message", "code", models.TextField(null=True, unique=True)),
        migrations.AddField("message", "code", models.TextField(null=True, db_index=True)),
        migrations.AddIndex("message", models.Index(fields=["text"], name="x")),
        migrations.AddConstraint("message", models.CheckConstraint(condition=models.Q(seq__gt=0), name="x")),
        migrations.RunSQL("ALTER TABLE conversations_message DROP COLUMN text"),
        migrations.RunSQL("alter table conversations_message rename column text to body"),
        migrations.RunSQL(["SELECT 1", "ALTER TABLE conversations_message ALTER COLUMN seq TYPE bigint"]),
        migrations.RunSQL([("ALTER TABLE conversations_message ALTER COLUMN text SET NOT NULL", None)]),
        migrations.RunSQL("CREATE INDEX x ON conversations_message (text)"),
        migrations.RunSQL("CREATE UNIQUE INDEX x ON conversations_message (text)"),
        migrations.RunSQL("ALTER TABLE conversations_message ADD CONSTRAINT x CHECK (seq > 0)"),
        migrations.RunSQL("LOCK TABLE conversations_message"),
        migrations.RunPython(migrations.RunPython.noop),
        migrations.SeparateDatabaseAndState([migrations.RemoveField("message", "text")], []),
    ],
    ids=lambda operation: type(operation).__name__,
)
def test_what_breaks_old_processes_is_found(operation: Any) -> None:
    assert len(problems(_migration(operation))) == 1


@pytest.mark.parametrize(
    "operation",
    [
        migrations.AddField("message", "mood", models.TextField(null=True)),
        migrations.AddField("message", "mood", models.TextField(db_default="", default="")),
        AddIndexConcurrently("message", models.Index(fields=["text"], name="x")),
        migrations.RunSQL("CREATE INDEX CONCURRENTLY x ON conversations_message (text)"),
        migrations.RunSQL("ALTER TABLE conversations_message ADD CONSTRAINT x CHECK (seq > 0) NOT VALID"),
        migrations.AlterField("message", "text", TEXT),
        migrations.SeparateDatabaseAndState([], [migrations.RemoveField("message", "text")]),
    ],
    ids=lambda operation: type(operation).__name__,
)
def test_what_only_adds_is_let_through(operation: Any) -> None:
    assert problems(_migration(operation, atomic=False)) == []


@pytest.mark.parametrize(
    ("field", "longer"),
    [
        (models.CharField(max_length=998, blank=True), True),
        (models.CharField(max_length=40, blank=True), False),
        (models.CharField(max_length=998, blank=True, null=True), False),
        (models.CharField(max_length=998, blank=True, unique=True), False),
        (models.IntegerField(), False),
    ],
    ids=lambda value: str(value)[:40],
)
@pytest.mark.django_db
def test_a_text_may_become_longer_and_nothing_else(field: models.Field, longer: bool) -> None:
    state = MigrationLoader(connection).project_state([("conversations", "0011_terms_due")])
    assert _only_longer(migrations.AlterField("conversation", "subject", field), state, "conversations") is longer


def test_a_table_that_is_new_may_be_given_anything() -> None:
    new = [
        migrations.CreateModel("Note", [("id", models.BigAutoField(primary_key=True))]),
        migrations.AddField("note", "text", models.TextField()),
        migrations.AddIndex("note", models.Index(fields=["text"], name="x")),
        migrations.RunSQL('ALTER TABLE "conversations_note" ADD CONSTRAINT x CHECK (id > 0)'),
    ]
    assert problems(_migration(*new)) == []
