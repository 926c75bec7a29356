"""What approved translations are searched by: terms of their texts, as rows. Filled in the background, in parts."""

from apps.core.tenancy import organization_fk, tenant_rls
from django.db import migrations, models

TABLE = "analysis_memoryterm"
TRIGGER = """
CREATE FUNCTION analysis_memory_terms_remove() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM analysis_memoryterm term USING gone WHERE term.tenant_id = gone.tenant_id AND term.unit_id = gone.id;
  RETURN NULL;
END $$;
CREATE TRIGGER analysis_memory_terms_remove AFTER DELETE ON analysis_memoryunit
  REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION analysis_memory_terms_remove();
"""
NO_TRIGGER = """
DROP TRIGGER analysis_memory_terms_remove ON analysis_memoryunit;
DROP FUNCTION analysis_memory_terms_remove();
"""


class Migration(migrations.Migration):
    dependencies = [("analysis", "0008_lists")]

    operations = [
        migrations.AddField("memoryunit", "termed", models.BooleanField(default=False, db_default=False)),
        migrations.CreateModel(
            name="MemoryTerm",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "tenant_id", "term", "unit_id", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("tenant_id", models.UUIDField(editable=False)),
                ("term", models.TextField(db_collation="C")),
                ("unit_id", models.UUIDField()),
            ],
            options={
                "abstract": False,
                "base_manager_name": "objects",
                "indexes": [models.Index(fields=["tenant_id", "unit_id"], name="analysis_memory_terms")],
            },
        ),
        organization_fk(TABLE),
        tenant_rls(TABLE),
        migrations.RunSQL(TRIGGER, NO_TRIGGER),
    ]
