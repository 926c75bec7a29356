from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("assistant", "0003_retention")]

    operations = [
        migrations.AddField(
            model_name="reply",
            name="settled",
            field=models.BooleanField(db_default=False, default=False),
        ),
    ]
