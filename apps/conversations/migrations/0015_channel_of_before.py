"""The settings of the inboxes that there are: of an organisation up to a hundred, so one statement for each."""

from django.db import migrations

# The trigger of 0014 does it. The owner of the tables is bound by the wall too: one organisation after the other.
FILL = """
DO $$
DECLARE organization uuid;
BEGIN
  FOR organization IN SELECT id FROM tenants_organization LOOP
    PERFORM set_config('app.tenant_id', organization::text, true);
    UPDATE conversations_inbox SET channel = channel WHERE channel_settings = '{}'::jsonb;
  END LOOP;
  PERFORM set_config('app.tenant_id', '', true);
END $$
"""


class Migration(migrations.Migration):
    dependencies = [("conversations", "0014_channel")]

    operations = [migrations.RunSQL(FILL, migrations.RunSQL.noop)]
