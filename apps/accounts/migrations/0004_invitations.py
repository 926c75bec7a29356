"""Invitations, behind the wall, and when an address was shown to be its person's. Adds only: older code runs beside it."""

import apps.core.ids
from django.db import migrations, models

from apps.core.tenancy import organization_fk, tenant_rls


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0003_organization_of_open_tables"),
    ]

    operations = [
        migrations.AddField(
            model_name="user",
            name="email_verified_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.CreateModel(
            name="Invitation",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=apps.core.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("tenant_id", models.UUIDField(editable=False)),
                ("email", models.EmailField(max_length=254)),
                ("name", models.CharField(blank=True, max_length=120)),
                (
                    "role",
                    models.CharField(
                        choices=[
                            ("owner", "owner"),
                            ("admin", "admin"),
                            ("agent", "agent"),
                            ("analyst", "analyst"),
                        ],
                        max_length=10,
                    ),
                ),
                ("invited_by", models.CharField(blank=True, max_length=80)),
                ("by_mail", models.BooleanField(default=False)),
                ("mails", models.PositiveSmallIntegerField(default=0)),
                ("mailed_at", models.DateTimeField(null=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("expires_at", models.DateTimeField()),
                ("accepted_at", models.DateTimeField(null=True)),
                ("revoked_at", models.DateTimeField(null=True)),
            ],
            options={
                "abstract": False,
                "base_manager_name": "objects",
                "indexes": [models.Index(fields=["tenant_id", "mailed_at"], name="invitation_mailed")],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("accepted_at", None), ("revoked_at", None)),
                        fields=("tenant_id", "email"),
                        name="invitation_open_once",
                    )
                ],
            },
        ),
        organization_fk("accounts_invitation"),
        tenant_rls("accounts_invitation"),
    ]
