"""Vectors and words of passages as rows: a vector with the encoder that it is of, a word where an index finds it.

The trigger writes a passage's words whichever version of the product writes the passage.
"""

import apps.core.ids
import django.db.models.deletion
import pgvector.django.vector
from apps.core.tenancy import organization_fk, tenant_fk, tenant_rls
from django.db import migrations, models

VECTORS, TERMS = "knowledge_chunkvector", "knowledge_chunkterm"
TRIGGERS = """
CREATE FUNCTION knowledge_chunk_terms_add() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO knowledge_chunkterm (tenant_id, term, chunk_id)
  SELECT fresh.tenant_id, said.lexeme, fresh.id FROM fresh CROSS JOIN LATERAL unnest(fresh.search) AS said
  ON CONFLICT DO NOTHING;
  RETURN NULL;
END $$;
CREATE FUNCTION knowledge_chunk_terms_remove() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM knowledge_chunkterm term USING gone CROSS JOIN LATERAL unnest(gone.search) AS said
  WHERE term.tenant_id = gone.tenant_id AND term.term = said.lexeme AND term.chunk_id = gone.id;
  RETURN NULL;
END $$;
CREATE TRIGGER knowledge_chunk_terms_add AFTER INSERT ON knowledge_chunk
  REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION knowledge_chunk_terms_add();
CREATE TRIGGER knowledge_chunk_terms_remove AFTER DELETE ON knowledge_chunk
  REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION knowledge_chunk_terms_remove();
"""
NO_TRIGGERS = """
DROP TRIGGER knowledge_chunk_terms_remove ON knowledge_chunk;
DROP TRIGGER knowledge_chunk_terms_add ON knowledge_chunk;
DROP FUNCTION knowledge_chunk_terms_remove();
DROP FUNCTION knowledge_chunk_terms_add();
"""


class Migration(migrations.Migration):
    dependencies = [("knowledge", "0001_initial"), ("inference", "0001_spaces")]

    operations = [
        migrations.AddField("chunk", "context", models.TextField(null=True)),
        migrations.CreateModel(
            name="ChunkVector",
            fields=[
                (
                    "id",
                    models.UUIDField(default=apps.core.ids.new_id, editable=False, primary_key=True, serialize=False),
                ),
                ("tenant_id", models.UUIDField(editable=False)),
                ("collection", models.CharField(max_length=60)),
                ("space", models.CharField(max_length=200)),
                ("embed_sha256", models.CharField(max_length=64)),
                ("embedding", pgvector.django.vector.VectorField(dimensions=384)),
                (
                    "chunk",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        to="knowledge.chunk",
                    ),
                ),
            ],
            options={
                "abstract": False,
                "base_manager_name": "objects",
                "constraints": [
                    models.UniqueConstraint(fields=("tenant_id", "chunk", "space"), name="knowledge_chunkvector_once")
                ],
                "indexes": [
                    models.Index(fields=["tenant_id", "space", "collection"], name="knowledge_chunkvector_space"),
                    models.Index(fields=["tenant_id", "embed_sha256"], name="knowledge_chunkvector_embed"),
                ],
            },
        ),
        migrations.CreateModel(
            name="ChunkTerm",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "tenant_id", "term", "chunk_id", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("tenant_id", models.UUIDField(editable=False)),
                ("term", models.TextField()),
                ("chunk_id", models.UUIDField()),
            ],
            options={"abstract": False, "base_manager_name": "objects"},
        ),
        *(organization_fk(table) for table in (VECTORS, TERMS)),
        *(tenant_rls(table) for table in (VECTORS, TERMS)),
        tenant_fk(VECTORS, "chunk_id", "knowledge_chunk"),
        migrations.RunSQL(TRIGGERS, NO_TRIGGERS),
    ]
