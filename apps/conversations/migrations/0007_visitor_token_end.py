"""Visitors' tokens that have ended are found by their time, to be removed."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # the index is made while the table is in use

    dependencies = [("conversations", "0006_tags_of_before")]

    operations = [
        AddIndexConcurrently(
            model_name="visitortoken",
            index=models.Index(fields=["tenant_id", "expires_at"], name="visitor_token_end"),
        ),
    ]
