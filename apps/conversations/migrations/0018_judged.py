"""Whether the fate of a draft is a judgement: of those of before it is not, and the product carries them over by itself."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("conversations", "0017_external_once")]

    operations = [
        migrations.AddField("draft", "judged", models.BooleanField(db_default=False, default=False)),
    ]
