from django.db import migrations

from apps.core.moving import models_given_away


class Migration(migrations.Migration):
    # The models moved to the app `translation`, which keeps their tables.

    dependencies = [
        ('analysis', '0010_memory_untermed'),
        ('translation', '0001_initial'),
    ]

    operations = models_given_away(
        deleting=[
            migrations.DeleteModel(name='GlossaryEntry'),
            migrations.DeleteModel(name='MemoryTerm'),
            migrations.DeleteModel(name='MemoryUnit'),
            migrations.DeleteModel(name='TranslatedDocument'),
        ]
    )
