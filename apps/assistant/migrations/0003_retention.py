"""The model of a run in a column, since `why` is emptied one day; indexes for that, and for the look-up by message."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # indexes are made while the table is in use

    dependencies = [("assistant", "0002_tenant_wall")]

    operations = [
        migrations.AddField(
            model_name="reply",
            name="model",
            field=models.CharField(blank=True, db_default="", default="", max_length=160),
        ),
        AddIndexConcurrently(
            model_name="reply", index=models.Index(fields=["tenant_id", "message_id"], name="reply_message")
        ),
        AddIndexConcurrently(
            model_name="reply",
            index=models.Index(
                condition=models.Q(("why", {}), _negated=True),
                fields=["tenant_id", "finished_at"],
                name="reply_why_kept",
            ),
        ),
    ]
