"""The dispatch of a job goes with its organisation, although the table has no wall."""

from django.db import migrations

from apps.core.tenancy import organization_fk


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0002_tenant_wall"),
        ("tenants", "0001_initial"),
    ]

    operations = [
        organization_fk("jobs_jobdispatch"),
    ]
