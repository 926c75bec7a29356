"""Labels and intents that conversations have already, as rows."""

from django.db import migrations

# The owner of the tables is bound by the wall too: the rows of one organisation after the other.
FILL = """
DO $$
DECLARE organization uuid;
BEGIN
  FOR organization IN SELECT id FROM tenants_organization LOOP
    PERFORM set_config('app.tenant_id', organization::text, true);
    INSERT INTO conversations_conversationtag (id, tenant_id, conversation_id, kind, name)
    SELECT gen_random_uuid(), tenant_id, id, kind, name
    FROM (SELECT tenant_id, id, 'label' AS kind, unnest(labels) AS name FROM conversations_conversation
          UNION SELECT tenant_id, id, 'intent', unnest(intents) FROM conversations_conversation) AS tags;
  END LOOP;
  PERFORM set_config('app.tenant_id', '', true);
END $$
"""


class Migration(migrations.Migration):
    dependencies = [
        ("conversations", "0005_filters"),
    ]

    operations = [
        migrations.RunSQL(FILL, migrations.RunSQL.noop),
    ]
