"""Jobs that have ended are found by their time, to be removed."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # the index is made while the table is in use

    dependencies = [("jobs", "0005_organization_indexes")]

    operations = [
        AddIndexConcurrently(
            model_name="job",
            index=models.Index(
                condition=models.Q(("finished_at__isnull", False)),
                fields=["tenant_id", "finished_at"],
                name="job_finished",
            ),
        ),
    ]
