"""What the list of conversations is filtered by: labels and intents as rows, and indexes in the list's order."""

import apps.core.ids
import django.db.models.deletion
from apps.core.tenancy import organization_fk, tenant_fk, tenant_rls
from django.db import migrations, models

TABLE = "conversations_conversationtag"


class Migration(migrations.Migration):
    dependencies = [
        ("conversations", "0004_annotations"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="conversation",
            index=models.Index(fields=["tenant_id", "-updated_at", "-id"], name="conversation_recent"),
        ),
        migrations.AddIndex(
            model_name="conversation",
            index=models.Index(fields=["tenant_id", "mood", "-updated_at", "-id"], name="conversation_mood"),
        ),
        migrations.AddIndex(
            model_name="conversation",
            index=models.Index(fields=["tenant_id", "language", "-updated_at", "-id"], name="conversation_language"),
        ),
        migrations.CreateModel(
            name="ConversationTag",
            fields=[
                (
                    "id",
                    models.UUIDField(default=apps.core.ids.new_id, editable=False, primary_key=True, serialize=False),
                ),
                ("tenant_id", models.UUIDField(editable=False)),
                ("kind", models.CharField(choices=[("label", "Label"), ("intent", "Intent")], max_length=6)),
                ("name", models.CharField(max_length=60)),
                (
                    "conversation",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="tags",
                        to="conversations.conversation",
                    ),
                ),
            ],
            options={
                "abstract": False,
                "base_manager_name": "objects",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("tenant_id", "kind", "name", "conversation"), name="conversation_tag_once"
                    )
                ],
            },
        ),
        organization_fk(TABLE),
        tenant_rls(TABLE),
        tenant_fk(TABLE, "conversation_id", "conversations_conversation"),
    ]
