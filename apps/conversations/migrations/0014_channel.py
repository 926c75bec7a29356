"""Inboxes get a kind of channel and the settings of that kind.

The code knows the four settings of widgets in `channel_settings` alone. Processes of the version before read and write them in
columns: a trigger keeps both equal, whoever writes. Columns and trigger go one release later.
"""

from django.db import migrations, models

from apps.conversations.types import FIRST_CHANNEL

COLUMNS = ("allowed_origins", "accent", "greeting", "suggested_questions")
TRIGGER = """
CREATE FUNCTION conversations_inbox_settings() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE newer boolean;
BEGIN
  IF TG_OP = 'INSERT' THEN newer := NEW.channel_settings <> '{}'::jsonb;
  ELSE newer := NEW.channel_settings IS DISTINCT FROM OLD.channel_settings;
  END IF;
  IF NEW.channel = 'widget' AND NOT newer THEN
    NEW.channel_settings := NEW.channel_settings || jsonb_build_object(
      'allowed_origins', to_jsonb(coalesce(NEW.allowed_origins, '{}')),
      'accent', coalesce(NEW.accent, '#2f5bea'),
      'greeting', coalesce(NEW.greeting, ''),
      'suggested_questions', to_jsonb(coalesce(NEW.suggested_questions, '{}')));
  END IF;
  NEW.allowed_origins := ARRAY(SELECT jsonb_array_elements_text(
    CASE NEW.channel WHEN 'widget' THEN NEW.channel_settings -> 'allowed_origins' ELSE '[]' END));
  NEW.accent := CASE NEW.channel WHEN 'widget' THEN NEW.channel_settings ->> 'accent' ELSE '#2f5bea' END;
  NEW.greeting := CASE NEW.channel WHEN 'widget' THEN NEW.channel_settings ->> 'greeting' ELSE '' END;
  NEW.suggested_questions := ARRAY(SELECT jsonb_array_elements_text(
    CASE NEW.channel WHEN 'widget' THEN NEW.channel_settings -> 'suggested_questions' ELSE '[]' END));
  RETURN NEW;
END $$;
CREATE TRIGGER conversations_inbox_settings BEFORE INSERT OR UPDATE ON conversations_inbox
  FOR EACH ROW EXECUTE FUNCTION conversations_inbox_settings();
"""
NO_TRIGGER = """
DROP TRIGGER conversations_inbox_settings ON conversations_inbox;
DROP FUNCTION conversations_inbox_settings();
"""


class Migration(migrations.Migration):
    dependencies = [("conversations", "0013_times_of_before")]

    operations = [
        migrations.AddField(
            "inbox", "channel", models.CharField(db_default=FIRST_CHANNEL, default=FIRST_CHANNEL, max_length=20)
        ),
        migrations.AddField("inbox", "channel_settings", models.JSONField(blank=True, db_default={}, default=dict)),
        migrations.AlterField("inbox", "widget_token", models.CharField(max_length=64, null=True, unique=True)),
        migrations.RunSQL(TRIGGER, NO_TRIGGER),
        migrations.SeparateDatabaseAndState([], [migrations.RemoveField("inbox", name) for name in COLUMNS]),
    ]
