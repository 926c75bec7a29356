"""An external id is given once in an inbox. The indexes are made while the tables are in use."""

from django.db import migrations, models


def _once(model, name, fields):
    constraint = models.UniqueConstraint(
        fields=fields, condition=models.Q(("external_id__isnull", False)), name=name
    )
    columns = ", ".join({"inbox": "inbox_id"}.get(field, field) for field in fields)
    return migrations.SeparateDatabaseAndState(
        [
            migrations.RunSQL(
                f"CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS {name} ON conversations_{model} ({columns}) "
                "WHERE external_id IS NOT NULL",
                f"DROP INDEX IF EXISTS {name}",
            )
        ],
        [migrations.AddConstraint(model, constraint)],
    )


class Migration(migrations.Migration):
    # An index cannot be made beside running processes inside a transaction.
    atomic = False

    dependencies = [("conversations", "0016_external")]

    operations = [
        _once("conversation", "conversation_external_id", ("tenant_id", "external_id", "inbox")),
        _once("message", "message_external_id", ("tenant_id", "external_id", "external_inbox_id")),
    ]
