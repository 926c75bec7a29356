"""An index for each of the inbox's views Mine and Unassigned, made while the table is in use."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    # An index cannot be made beside running processes inside a transaction.
    atomic = False

    dependencies = [("conversations", "0007_visitor_token_end")]

    operations = [
        AddIndexConcurrently(
            "conversation",
            models.Index(fields=["tenant_id", "assignee", "status", "-updated_at", "-id"], name="conversation_mine"),
        ),
        AddIndexConcurrently(
            "conversation",
            models.Index(
                fields=["tenant_id", "status", "handler", "-updated_at", "-id"],
                condition=models.Q(assignee__isnull=True),
                name="conversation_unassigned",
            ),
        ),
    ]
