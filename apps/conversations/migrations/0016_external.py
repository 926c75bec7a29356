"""What other systems call conversations and messages, and files of messages."""

import django.db.models.deletion
from django.db import migrations, models

import apps.core.ids
from apps.conversations.types import MAX_EXTERNAL_ID, MAX_FILE_NAME, MAX_MEDIA_TYPE
from apps.core.tenancy import organization_fk, tenant_fk, tenant_rls

TABLE = "conversations_attachment"


class Migration(migrations.Migration):
    dependencies = [("conversations", "0015_channel_of_before")]

    operations = [
        migrations.CreateModel(
            name="Attachment",
            fields=[
                (
                    "id",
                    models.UUIDField(default=apps.core.ids.new_id, editable=False, primary_key=True, serialize=False),
                ),
                ("tenant_id", models.UUIDField(editable=False)),
                ("position", models.PositiveSmallIntegerField()),
                ("name", models.CharField(max_length=MAX_FILE_NAME)),
                ("media_type", models.CharField(max_length=MAX_MEDIA_TYPE)),
                ("size_bytes", models.BigIntegerField()),
                ("sha256", models.CharField(max_length=64)),
                ("storage_name", models.CharField(max_length=120)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "message",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="attachments",
                        to="conversations.message",
                    ),
                ),
            ],
            options={
                "abstract": False,
                "base_manager_name": "objects",
                "constraints": [
                    models.UniqueConstraint(fields=("tenant_id", "message", "position"), name="attachment_position"),
                    models.UniqueConstraint(fields=("tenant_id", "storage_name"), name="attachment_file"),
                ],
            },
        ),
        organization_fk(TABLE),
        tenant_rls(TABLE),
        tenant_fk(TABLE, "message_id", "conversations_message"),
        # Tables that are read all the time come last: their lock is held until the end.
        migrations.AddField("message", "external_id", models.CharField(max_length=MAX_EXTERNAL_ID, null=True)),
        migrations.AddField("message", "external_inbox_id", models.UUIDField(null=True)),
        # Its check on the number would be tried on every row, so that the column has none.
        migrations.AddField("message", "attachment_count", models.SmallIntegerField(db_default=0, default=0)),
        migrations.AddField("conversation", "external_id", models.CharField(max_length=MAX_EXTERNAL_ID, null=True)),
    ]
