"""When a person first answered and when a conversation was resolved; lengths that fit an e-mail.

The services keep the times. The trigger keeps them for processes of the version before, which know neither: it goes one
release later. The other trigger names a column whose type changes, and PostgreSQL refuses that while the trigger is there.
"""

from django.db import migrations, models

from apps.conversations.types import MAX_NAME, MAX_SUBJECT

TIMES = """
CREATE FUNCTION conversations_conversation_times() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.status <> 'resolved' THEN NEW.resolved_at := NULL;
  ELSIF NEW.resolved_at IS NULL THEN NEW.resolved_at := NEW.updated_at;
  END IF;
  IF NEW.first_response_at IS NULL AND NEW.last_role = 'agent' AND NEW.last_public_seq > OLD.last_public_seq THEN
    NEW.first_response_at := NEW.last_message_at;
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER conversations_conversation_times BEFORE UPDATE ON conversations_conversation
  FOR EACH ROW EXECUTE FUNCTION conversations_conversation_times();
"""
NO_TIMES = """
DROP TRIGGER conversations_conversation_times ON conversations_conversation;
DROP FUNCTION conversations_conversation_times();
"""
TERMS_DUE = """
CREATE TRIGGER conversations_contact_terms_due BEFORE UPDATE OF name, email ON conversations_contact
  FOR EACH ROW EXECUTE FUNCTION conversations_contact_terms_due();
"""
NO_TERMS_DUE = "DROP TRIGGER conversations_contact_terms_due ON conversations_contact;"


class Migration(migrations.Migration):
    dependencies = [("conversations", "0011_terms_due")]

    operations = [
        migrations.AddField("conversation", "first_response_at", models.DateTimeField(null=True)),
        migrations.AddField("conversation", "resolved_at", models.DateTimeField(null=True)),
        migrations.RunSQL(TIMES, NO_TIMES),
        # Longer is a change of the catalogue alone.
        migrations.AlterField("conversation", "subject", models.CharField(blank=True, max_length=MAX_SUBJECT)),
        migrations.RunSQL(NO_TERMS_DUE, TERMS_DUE),
        migrations.AlterField("contact", "name", models.CharField(blank=True, max_length=MAX_NAME)),
        migrations.RunSQL(TERMS_DUE, NO_TERMS_DUE),
    ]
