"""The wall between organisations: forced row-level security and composite foreign keys."""

from django.db import migrations

from apps.core.tenancy import organization_fk, tenant_fk, tenant_rls


class Migration(migrations.Migration):
    dependencies = [
        ("assistant", "0001_initial"),
        ("tenants", "0001_initial"),
        ("conversations", "0002_tenant_wall"),
    ]

    operations = [
        organization_fk("assistant_reply"),
        tenant_fk("assistant_reply", "conversation_id", "conversations_conversation"),
        tenant_rls("assistant_reply"),
    ]
