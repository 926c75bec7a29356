from django.db import migrations

from apps.core.moving import models_given_away


class Migration(migrations.Migration):
    # The models moved to the app `nlp`, which keeps their tables.

    dependencies = [
        ('analysis', '0011_to_translation'),
        ('nlp', '0001_initial'),
    ]

    operations = models_given_away(
        deleting=[
            migrations.DeleteModel(name='ClassifierExample'),
            migrations.DeleteModel(name='ClassifierVersion'),
            migrations.DeleteModel(name='Classifier'),
        ]
    )
