"""One table for what people, models and checks hold of something."""

from django.db import migrations, models

import apps.core.ids
from apps.core.tenancy import organization_fk, tenant_rls

TABLE = "judgements_judgement"

class Migration(migrations.Migration):

    initial = True

    dependencies = [("tenants", "0001_initial")]

    operations = [
        migrations.CreateModel(
            name='Judgement',
            fields=[
                ('id', models.UUIDField(default=apps.core.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('tenant_id', models.UUIDField(editable=False)),
                ('target_kind', models.CharField(max_length=40)),
                ('target_id', models.CharField(max_length=120)),
                ('field', models.CharField(max_length=40)),
                ('value', models.CharField(max_length=60)),
                ('number', models.FloatField(null=True)),
                ('author_kind', models.CharField(choices=[('contact', 'contact'), ('user', 'user'), ('key', 'key'), ('model', 'model'), ('check', 'check'), ('system', 'system')], max_length=10)),
                ('author_id', models.CharField(blank=True, max_length=120)),
                ('reason', models.CharField(blank=True, max_length=2000)),
                ('judged_at', models.DateTimeField()),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'objects',
                'indexes': [models.Index(fields=['tenant_id', 'target_kind', 'field', 'judged_at', 'id'], name='judgement_time'), models.Index(fields=['tenant_id', 'author_kind', 'author_id'], name='judgement_author')],
                'constraints': [models.UniqueConstraint(fields=('tenant_id', 'target_kind', 'target_id', 'field', 'author_kind', 'author_id'), name='judgement_once')],
            },
        ),
        organization_fk(TABLE),
        tenant_rls(TABLE),
    ]
