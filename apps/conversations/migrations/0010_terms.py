"""What conversations are searched by: terms of their messages and of their contacts, as rows.

Nothing is filled here: what is there already gets its terms from the product's own background (`terms_follow`), in parts, and
is found by comparing texts until then. The triggers keep the marks right whichever version of the product writes.
"""

import django.db.models.deletion
from apps.core.tenancy import organization_fk, tenant_fk, tenant_rls
from django.db import migrations, models

OF_CONVERSATIONS, OF_CONTACTS = "conversations_conversationterm", "conversations_contactterm"
TRIGGERS = """
CREATE FUNCTION conversations_contact_terms_due() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.name IS DISTINCT FROM OLD.name OR NEW.email IS DISTINCT FROM OLD.email THEN NEW.termed := false; END IF;
  RETURN NEW;
END $$;
CREATE FUNCTION conversations_message_terms_forget() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM conversations_conversationterm term USING (SELECT DISTINCT tenant_id, conversation_id FROM gone) AS talk
  WHERE term.tenant_id = talk.tenant_id AND term.conversation_id = talk.conversation_id;
  UPDATE conversations_conversation SET terms_seq = 0
  FROM (SELECT DISTINCT tenant_id, conversation_id FROM gone) AS talk
  WHERE conversations_conversation.tenant_id = talk.tenant_id AND conversations_conversation.id = talk.conversation_id
    AND terms_seq > 0;
  RETURN NULL;
END $$;
CREATE TRIGGER conversations_contact_terms_due BEFORE UPDATE OF name, email ON conversations_contact
  FOR EACH ROW EXECUTE FUNCTION conversations_contact_terms_due();
CREATE TRIGGER conversations_message_terms_forget AFTER DELETE ON conversations_message
  REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION conversations_message_terms_forget();
"""
NO_TRIGGERS = """
DROP TRIGGER conversations_message_terms_forget ON conversations_message;
DROP TRIGGER conversations_contact_terms_due ON conversations_contact;
DROP FUNCTION conversations_message_terms_forget();
DROP FUNCTION conversations_contact_terms_due();
"""


def _terms(name, owner):
    key = models.ForeignKey(
        f"conversations.{owner}",
        on_delete=django.db.models.deletion.CASCADE,
        db_constraint=False,
        db_index=False,
        related_name="+",
    )
    return migrations.CreateModel(
        name=name,
        fields=[
            (
                "pk",
                models.CompositePrimaryKey(
                    "tenant_id", "term", f"{owner}_id", blank=True, editable=False, primary_key=True, serialize=False
                ),
            ),
            ("tenant_id", models.UUIDField(editable=False)),
            ("term", models.TextField(db_collation="C")),
            (owner, key),
        ],
        options={
            "abstract": False,
            "base_manager_name": "objects",
            "indexes": [models.Index(fields=["tenant_id", owner], name=f"{owner}_terms")],
        },
    )


class Migration(migrations.Migration):
    dependencies = [("conversations", "0009_identity")]

    operations = [
        # Without a check on the number: it would be tried on every row, while nobody reads or writes the table.
        migrations.AddField("conversation", "terms_seq", models.IntegerField(default=0, db_default=0)),
        migrations.AddField("contact", "termed", models.BooleanField(default=False, db_default=False)),
        _terms("ConversationTerm", "conversation"),
        _terms("ContactTerm", "contact"),
        *(organization_fk(table) for table in (OF_CONVERSATIONS, OF_CONTACTS)),
        *(tenant_rls(table) for table in (OF_CONVERSATIONS, OF_CONTACTS)),
        tenant_fk(OF_CONVERSATIONS, "conversation_id", "conversations_conversation"),
        tenant_fk(OF_CONTACTS, "contact_id", "conversations_contact"),
        migrations.RunSQL(TRIGGERS, NO_TRIGGERS),
    ]
