"""One delivery for each event and handler. Processes of before go on beside it: they neither read nor write what is new.

Their `boot_check` knows a fixed list of tables without a wall and refuses to start when it meets another one. This table has a
forced policy, therefore: without a scope all rows, which is how the dispatcher finds them, and in a scope its own.
"""

from django.db import migrations, models

_MINE = "NULLIF(current_setting('app.tenant_id', true), '')"
_POLICY = f"({_MINE} IS NULL OR tenant_id = {_MINE}::uuid)"


class Migration(migrations.Migration):
    dependencies = [("events", "0002_tenant_wall")]

    operations = [
        migrations.AddField(model_name="event", name="handlers", field=models.JSONField(null=True)),
        migrations.CreateModel(
            name="Delivery",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("tenant_id", models.UUIDField()),
                ("event_id", models.UUIDField()),
                ("subject_id", models.UUIDField()),
                ("handler", models.CharField(max_length=64)),
                (
                    "state",
                    models.CharField(
                        choices=[("pending", "Pending"), ("dead", "Dead"), ("unknown", "Unknown")],
                        default="pending",
                        max_length=10,
                    ),
                ),
                ("attempts", models.PositiveSmallIntegerField(default=0)),
                ("next_attempt_at", models.DateTimeField()),
                ("error", models.CharField(blank=True, max_length=64)),
                ("created_at", models.DateTimeField()),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("state", "pending")), fields=["next_attempt_at"], name="delivery_due"
                    ),
                    models.Index(
                        condition=models.Q(("state", "pending")), fields=["subject_id", "handler"], name="delivery_lane"
                    ),
                    models.Index(
                        condition=models.Q(("state", "pending"), _negated=True),
                        fields=["state", "created_at"],
                        name="delivery_kept",
                    ),
                ],
                "constraints": [models.UniqueConstraint(fields=("event_id", "handler"), name="delivery_once")],
            },
        ),
        migrations.RunSQL(
            [
                'ALTER TABLE "events_delivery" ENABLE ROW LEVEL SECURITY',
                'ALTER TABLE "events_delivery" FORCE ROW LEVEL SECURITY',
                f'CREATE POLICY own_rows_in_a_scope ON "events_delivery" USING {_POLICY} WITH CHECK {_POLICY}',
            ],
            migrations.RunSQL.noop,
        ),
    ]
