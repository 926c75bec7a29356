import apps.core.ids
import django.db.models.deletion
import pgvector.django.indexes
import pgvector.django.vector
from apps.core.tenancy import organization_fk, tenant_fk, tenant_rls
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("analysis", "0003_batches"),
        ("conversations", "0004_annotations"),
    ]

    operations = [
        migrations.CreateModel(
            name="MessageVector",
            fields=[
                (
                    "id",
                    models.UUIDField(default=apps.core.ids.new_id, editable=False, primary_key=True, serialize=False),
                ),
                ("tenant_id", models.UUIDField(editable=False)),
                ("conversation_id", models.UUIDField()),
                ("embedding", pgvector.django.vector.VectorField(dimensions=384)),
                (
                    "message",
                    models.ForeignKey(
                        db_constraint=False, on_delete=django.db.models.deletion.CASCADE, to="conversations.message"
                    ),
                ),
            ],
            options={
                "abstract": False,
                "base_manager_name": "objects",
                "indexes": [
                    pgvector.django.indexes.HnswIndex(
                        ef_construction=64,
                        fields=["embedding"],
                        m=16,
                        name="analysis_messagevector_hnsw",
                        opclasses=["vector_cosine_ops"],
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("tenant_id", "message"), name="analysis_messagevector_message")
                ],
            },
        ),
        organization_fk("analysis_messagevector"),
        tenant_rls("analysis_messagevector"),
        tenant_fk("analysis_messagevector", "message_id", "conversations_message"),
    ]
