"""Memberships and credentials go with their organisation, although they have no wall."""

from django.db import migrations

from apps.core.tenancy import organization_fk


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0002_tenant_wall"),
        ("tenants", "0001_initial"),
    ]

    operations = [
        organization_fk("accounts_membership"),
        organization_fk("accounts_credential"),
    ]
