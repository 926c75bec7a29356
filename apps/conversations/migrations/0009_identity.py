"""Whom an inbox admits, and what of a contact is proven. Names and addresses of before count as said: a browser told them."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("conversations", "0008_views"),
    ]

    # Columns with a default in the catalogue: no table is rewritten, and processes of before insert without them.
    operations = [
        migrations.AddField("contact", "name_verified", models.BooleanField(db_default=False, default=False)),
        migrations.AddField("contact", "email_verified", models.BooleanField(db_default=False, default=False)),
        migrations.AddField("inbox", "identity_required", models.BooleanField(db_default=False, default=False)),
        migrations.AddField(
            "inbox", "identity_issuer", models.CharField(blank=True, db_default="", default="", max_length=200)
        ),
        migrations.AddField(
            "inbox", "identity_audience", models.CharField(blank=True, db_default="", default="", max_length=200)
        ),
    ]
