from django.db import migrations

from apps.core.moving import models_given_away


class Migration(migrations.Migration):
    # The models moved to the app `batches`, which keeps their tables.

    dependencies = [
        ('analysis', '0012_to_nlp'),
        ('batches', '0001_initial'),
    ]

    operations = models_given_away(
        deleting=[
            migrations.DeleteModel(name='BatchCell'),
            migrations.DeleteModel(name='BatchRow'),
            migrations.DeleteModel(name='Batch'),
        ]
    )
