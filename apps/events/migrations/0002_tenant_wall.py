"""The wall between organisations. Events lie below organisations, so their rows carry an opaque tenant id: the audit trail
outlives the organisation it tells of, and `organization_delete` removes the events."""

from django.db import migrations

from apps.core.tenancy import tenant_rls


class Migration(migrations.Migration):
    dependencies = [("events", "0001_initial")]

    operations = [tenant_rls("events_event"), tenant_rls("events_auditentry")]
