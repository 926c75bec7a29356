"""One vector of a message in each space. The indexes are made while the table is in use."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    # An index cannot be made beside running processes inside a transaction.
    atomic = False

    dependencies = [("analysis", "0006_spaces")]

    operations = [
        AddIndexConcurrently(
            "messagevector", models.Index(fields=["tenant_id", "space"], name="analysis_messagevector_space")
        ),
        migrations.SeparateDatabaseAndState(
            [
                migrations.RunSQL(
                    "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS analysis_messagevector_once "
                    "ON analysis_messagevector (tenant_id, message_id, space)",
                    "DROP INDEX IF EXISTS analysis_messagevector_once",
                ),
                migrations.RunSQL(
                    "ALTER TABLE analysis_messagevector ADD CONSTRAINT analysis_messagevector_once "
                    "UNIQUE USING INDEX analysis_messagevector_once",
                    "ALTER TABLE analysis_messagevector DROP CONSTRAINT analysis_messagevector_once",
                ),
            ],
            [
                migrations.AddConstraint(
                    "messagevector",
                    models.UniqueConstraint(
                        fields=("tenant_id", "message", "space"), name="analysis_messagevector_once"
                    ),
                )
            ],
        ),
        migrations.RemoveConstraint("messagevector", "analysis_messagevector_message"),
    ]
