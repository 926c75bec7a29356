"""Which conversations and contacts have no terms yet: soon none, so that looking costs nothing."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    # An index cannot be made beside running processes inside a transaction.
    atomic = False

    dependencies = [("conversations", "0010_terms")]

    operations = [
        AddIndexConcurrently(
            "conversation",
            models.Index(
                fields=["tenant_id", "id"],
                condition=models.Q(terms_seq__lt=models.F("last_seq")),
                name="conversation_without_terms",
            ),
        ),
        AddIndexConcurrently(
            "contact",
            models.Index(fields=["tenant_id", "id"], condition=models.Q(termed=False), name="contact_without_terms"),
        ),
    ]
