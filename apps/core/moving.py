"""Migration operations for models that move to another app and keep their tables.

A move changes what Django knows and no table: the new app's migration creates the models in the state alone, and one of the
old app deletes them there. Processes of the version before go on reading and writing the same tables meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence

from django.db.migrations.operations import RunSQL, SeparateDatabaseAndState
from django.db.migrations.operations.base import Operation


def models_taken_over(*, source: str, target: str, creating: Sequence[Operation]) -> list[Operation]:
    """Return the operations of the new app's migration; `creating` are CreateModel and what belongs to it.

    The content types of the models follow. The migration depends on the last one of `source` and on contenttypes.
    """
    models = ", ".join(f"'{one.name_lower}'" for one in creating if hasattr(one, "fields"))  # type: ignore[attr-defined]
    move = "UPDATE django_content_type SET app_label = '{}' WHERE app_label = '{}' AND model IN ({})"
    return [
        SeparateDatabaseAndState(state_operations=list(creating)),
        RunSQL(move.format(target, source, models), move.format(source, target, models)),
    ]


def models_given_away(*, deleting: Sequence[Operation]) -> list[Operation]:
    """Return the operations of the old app's migration, which depends on the new app's."""
    return [SeparateDatabaseAndState(state_operations=list(deleting))]
