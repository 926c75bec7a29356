"""The wall between organisations: forced row-level security and composite foreign keys."""

from django.db import migrations

from apps.core.tenancy import organization_fk, tenant_fk, tenant_rls


class Migration(migrations.Migration):
    dependencies = [
        ("conversations", "0001_initial"),
        ("tenants", "0001_initial"),
    ]

    operations = [
        organization_fk("conversations_inbox"),
        organization_fk("conversations_contact"),
        organization_fk("conversations_visitortoken"),
        organization_fk("conversations_conversation"),
        organization_fk("conversations_message"),
        organization_fk("conversations_draft"),
        organization_fk("conversations_rating"),
        tenant_fk("conversations_visitortoken", "inbox_id", "conversations_inbox"),
        tenant_fk("conversations_visitortoken", "contact_id", "conversations_contact"),
        tenant_fk("conversations_conversation", "inbox_id", "conversations_inbox"),
        tenant_fk("conversations_conversation", "contact_id", "conversations_contact"),
        tenant_fk("conversations_message", "conversation_id", "conversations_conversation"),
        tenant_fk("conversations_draft", "conversation_id", "conversations_conversation"),
        tenant_fk("conversations_draft", "message_id", "conversations_message", on_delete="SET NULL"),
        tenant_fk("conversations_rating", "message_id", "conversations_message"),
        tenant_rls("conversations_inbox"),
        tenant_rls("conversations_contact"),
        tenant_rls("conversations_visitortoken"),
        tenant_rls("conversations_conversation"),
        tenant_rls("conversations_message"),
        tenant_rls("conversations_draft"),
        tenant_rls("conversations_rating"),
    ]
