"""B8: a model that moves to another app keeps its table, which processes of the version before use meanwhile."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.contenttypes.models import ContentType
from django.db import connection, migrations
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ProjectState

from apps.core.moving import models_given_away, models_taken_over

pytestmark = pytest.mark.django_db
# Migrations with which models moved to other apps.
MOVES = [
    ("translation", "0001_initial"),
    ("analysis", "0011_to_translation"),
    ("nlp", "0001_initial"),
    ("analysis", "0012_to_nlp"),
    ("batches", "0001_initial"),
    ("analysis", "0013_to_batches"),
    ("insights", "0001_initial"),
    ("analysis", "0014_to_insights"),
]


def _statements(app: str, name: str) -> list[str]:
    loader = MigrationLoader(connection)
    state = loader.project_state([(app, name)], at_end=False)
    with connection.schema_editor(collect_sql=True, atomic=False) as editor:
        loader.disk_migrations[app, name].apply(state, editor)
        return [line for line in editor.collected_sql if not line.startswith("--")]


@pytest.mark.parametrize(("app", "name"), MOVES)
def test_a_move_touches_no_table(app: str, name: str) -> None:
    assert [line for line in _statements(app, name) if not line.startswith("UPDATE django_content_type ")] == []


def _apply(operations: list[Any]) -> None:
    state = ProjectState()
    with connection.schema_editor(atomic=False) as editor:
        for operation in operations:
            after = state.clone()
            operation.state_forwards("newer", after)
            operation.database_forwards("newer", editor, state, after)
            state = after


def test_content_types_follow_and_keep_their_ids() -> None:
    before = ContentType.objects.create(app_label="older", model="thing")
    left = ContentType.objects.create(app_label="older", model="other")
    creating = [migrations.CreateModel("Thing", [], {"db_table": "older_thing"})]
    _apply(models_taken_over(source="older", target="newer", creating=creating))
    assert ContentType.objects.get(id=before.id).app_label == "newer"
    assert ContentType.objects.get(id=left.id).app_label == "older"
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('older_thing'), to_regclass('newer_thing')")
        assert cursor.fetchone() == (None, None)


def test_giving_away_drops_nothing() -> None:
    (operation,) = models_given_away(deleting=[migrations.DeleteModel("Thing")])
    assert operation.database_operations == []
