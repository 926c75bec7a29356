"""Which drafts and scores are no judgements yet: soon none, so that looking costs nothing."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    # An index cannot be made beside running processes inside a transaction.
    atomic = False

    dependencies = [("conversations", "0018_judged")]

    operations = [
        AddIndexConcurrently(
            "draft",
            models.Index(
                condition=models.Q(("decided_at__isnull", False), ("judged", False)),
                fields=["tenant_id", "id"],
                name="draft_not_judged",
            ),
        ),
        AddIndexConcurrently(
            "conversation",
            models.Index(
                condition=models.Q(("csat_value__isnull", False)),
                fields=["tenant_id", "id"],
                name="conversation_score_kept",
            ),
        ),
    ]
