"""The space of each message's vector. The rows that there are lie in that of the encoder served until now.

The column's default names it: so they all have it at once, without being written again, and so do those that a process of
the version before writes while both run. Which one it is was proved by the passages (knowledge 0003); without any it is
the catalogue's default.
"""

from collections import Counter

from apps.inference.services import default_space
from django.db import migrations, models

TABLE = "analysis_messagevector"
SPACE_CHARS = 200


def column_add(registry, schema_editor):
    """Add the column with the default that is known now only."""
    with schema_editor.connection.cursor() as cursor:
        space = _served(cursor)
        literal = "'" + space.replace("'", "''") + "'"
        cursor.execute(f"ALTER TABLE {TABLE} ADD COLUMN space varchar({SPACE_CHARS}) NOT NULL DEFAULT {literal}")


def _served(cursor):
    found = Counter()
    cursor.execute("SELECT id FROM tenants_organization")
    for (tenant,) in cursor.fetchall():
        cursor.execute("SELECT set_config('app.tenant_id', %s, true)", [str(tenant)])
        cursor.execute("SELECT serving FROM inference_vectorspace WHERE holder = 'passages'")
        found.update(space for (space,) in cursor.fetchall())
    served = found.most_common(1)[0][0] if found else default_space()
    cursor.execute("SELECT id FROM tenants_organization")
    for (tenant,) in cursor.fetchall():
        cursor.execute("SELECT set_config('app.tenant_id', %s, true)", [str(tenant)])
        cursor.execute("UPDATE inference_vectorspace SET serving = %s WHERE holder = 'messages'", [served])
    cursor.execute("SELECT set_config('app.tenant_id', '', true)")
    return served


def column_remove(registry, schema_editor):
    """Take the column away."""
    schema_editor.execute(f"ALTER TABLE {TABLE} DROP COLUMN space")


class Migration(migrations.Migration):
    dependencies = [("analysis", "0005_half_vectors"), ("knowledge", "0003_spaces_of_before")]

    operations = [
        migrations.SeparateDatabaseAndState(
            [migrations.RunPython(column_add, column_remove)],
            [migrations.AddField("messagevector", "space", models.CharField(max_length=SPACE_CHARS))],
        ),
    ]
