"""The jobs of an organisation are found when it is deleted, however many others have."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0004_fair_pick"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="job",
            index=models.Index(fields=["tenant_id"], name="job_organization"),
        ),
        migrations.AddIndex(
            model_name="jobdispatch",
            index=models.Index(fields=["tenant_id"], name="job_dispatch_organization"),
        ),
    ]
