from django.db import migrations

from apps.core.moving import models_given_away


class Migration(migrations.Migration):
    # The models moved to the app `insights`, which keeps their tables.

    dependencies = [
        ('analysis', '0013_to_batches'),
        ('insights', '0001_initial'),
    ]

    operations = models_given_away(
        deleting=[
            migrations.DeleteModel(name='MessageVector'),
        ]
    )
