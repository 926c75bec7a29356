"""Which approved translations have no terms yet: soon none, so that looking costs nothing."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    # An index cannot be made beside running processes inside a transaction.
    atomic = False

    dependencies = [("analysis", "0009_memory_terms")]

    operations = [
        AddIndexConcurrently(
            "memoryunit",
            models.Index(fields=["tenant_id", "id"], condition=models.Q(termed=False), name="analysis_memory_untermed"),
        )
    ]
