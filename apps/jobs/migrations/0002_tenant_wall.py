"""The wall between organisations: forced row-level security and composite foreign keys."""

from django.db import migrations

from apps.core.tenancy import organization_fk, tenant_rls


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0001_initial"),
        ("tenants", "0001_initial"),
    ]

    operations = [
        organization_fk("jobs_job"),
        tenant_rls("jobs_job"),
    ]
