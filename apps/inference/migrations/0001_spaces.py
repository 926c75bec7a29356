"""Which space each organisation's vectors are searched in: that of the model served until now."""

import apps.core.ids
from apps.core.tenancy import organization_fk, tenant_rls
from apps.inference.services import default_space
from django.db import migrations, models

TABLE = "inference_vectorspace"
ROW = """
INSERT INTO inference_vectorspace (id, tenant_id, holder, serving, building, paused, error_code)
SELECT gen_random_uuid(), %(tenant)s, holder, %(space)s, '', false, '' FROM unnest(ARRAY['passages', 'messages']) AS holder
"""


def rows_make(registry, schema_editor):
    """Make the rows of the organisations that there are. The owner of the tables is bound by the wall too."""
    space = default_space()
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SELECT id FROM tenants_organization")
        for (tenant,) in cursor.fetchall():
            cursor.execute("SELECT set_config('app.tenant_id', %s, true)", [str(tenant)])
            cursor.execute(ROW, {"tenant": tenant, "space": space})
        cursor.execute("SELECT set_config('app.tenant_id', '', true)")


class Migration(migrations.Migration):
    initial = True

    dependencies = [("tenants", "0001_initial")]

    operations = [
        migrations.CreateModel(
            name="VectorSpace",
            fields=[
                (
                    "id",
                    models.UUIDField(default=apps.core.ids.new_id, editable=False, primary_key=True, serialize=False),
                ),
                ("tenant_id", models.UUIDField(editable=False)),
                (
                    "holder",
                    models.CharField(choices=[("passages", "Passages"), ("messages", "Messages")], max_length=8),
                ),
                ("serving", models.CharField(max_length=200)),
                ("building", models.CharField(blank=True, default="", max_length=200)),
                ("paused", models.BooleanField(default=False)),
                ("job_id", models.UUIDField(null=True)),
                ("error_code", models.CharField(blank=True, default="", max_length=60)),
                ("switched_at", models.DateTimeField(null=True)),
            ],
            options={
                "abstract": False,
                "base_manager_name": "objects",
                "constraints": [
                    models.UniqueConstraint(fields=("tenant_id", "holder"), name="inference_vectorspace_holder")
                ],
            },
        ),
        organization_fk(TABLE),
        tenant_rls(TABLE),
        migrations.RunPython(rows_make, migrations.RunPython.noop),
    ]
