import apps.core.ids
import django.contrib.postgres.indexes
import django.contrib.postgres.search
import django.db.models.deletion
import django.db.models.functions.comparison
import pgvector.django.indexes
import pgvector.django.vector
from apps.core.tenancy import organization_fk, tenant_fk, tenant_rls
from django.db import migrations, models

TABLES = ('knowledge_source', 'knowledge_sourcefile', 'knowledge_document', 'knowledge_chunk')


def extension(name):
    # vector is made by the superuser beforehand (it is not a trusted extension); the others the owner may make.
    return migrations.RunSQL(f'CREATE EXTENSION IF NOT EXISTS {name}', migrations.RunSQL.noop)


class Migration(migrations.Migration):

    initial = True

    dependencies = [('tenants', '0001_initial')]

    operations = [
        extension('vector'),
        extension('pg_trgm'),
        extension('btree_gin'),
        migrations.CreateModel(
            name='Source',
            fields=[
                ('id', models.UUIDField(default=apps.core.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('tenant_id', models.UUIDField(editable=False)),
                ('kind', models.CharField(choices=[('file', 'file'), ('url', 'url'), ('text', 'text')], max_length=8)),
                ('name', models.CharField(max_length=300)),
                ('url', models.CharField(blank=True, max_length=2000)),
                ('collection', models.CharField(default='default', max_length=60)),
                ('status', models.CharField(default='queued', max_length=8)),
                ('error_code', models.CharField(blank=True, max_length=60)),
                ('error_message', models.CharField(blank=True, max_length=500)),
                ('problems', models.JSONField(default=list)),
                ('flags', models.JSONField(default=list)),
                ('size_bytes', models.BigIntegerField(default=0)),
                ('content_sha256', models.CharField(blank=True, max_length=64)),
                ('document_count', models.IntegerField(default=0)),
                ('chunk_count', models.IntegerField(default=0)),
                ('job_id', models.UUIDField(null=True)),
                ('created_by', models.CharField(blank=True, max_length=80)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('ready_at', models.DateTimeField(null=True)),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'objects',
                'indexes': [models.Index(fields=['tenant_id', 'collection'], name='knowledge_source_collection')],
                'constraints': [models.UniqueConstraint(fields=('tenant_id', 'id'), name='knowledge_source_tenant_id_uniq')],
            },
        ),
        migrations.CreateModel(
            name='Document',
            fields=[
                ('id', models.UUIDField(default=apps.core.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('tenant_id', models.UUIDField(editable=False)),
                ('name', models.CharField(max_length=2000)),
                ('name_sha256', models.CharField(max_length=64)),
                ('url', models.CharField(blank=True, max_length=2000)),
                ('title', models.CharField(max_length=300)),
                ('format', models.CharField(max_length=12)),
                ('flags', models.JSONField(default=list)),
                ('chunk_count', models.IntegerField(default=0)),
                ('term_count', models.BigIntegerField(default=0)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('source', models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.CASCADE, related_name='documents', to='knowledge.source')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='SourceFile',
            fields=[
                ('id', models.UUIDField(default=apps.core.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('tenant_id', models.UUIDField(editable=False)),
                ('name', models.CharField(max_length=200)),
                ('storage_name', models.CharField(max_length=200)),
                ('size_bytes', models.BigIntegerField()),
                ('sha256', models.CharField(max_length=64)),
                ('source', models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.CASCADE, related_name='files', to='knowledge.source')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='Chunk',
            fields=[
                ('id', models.UUIDField(default=apps.core.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('tenant_id', models.UUIDField(editable=False)),
                ('source_id', models.UUIDField()),
                ('collection', models.CharField(max_length=60)),
                ('ordinal', models.IntegerField()),
                ('heading', models.CharField(blank=True, max_length=2000)),
                ('anchor', models.CharField(blank=True, max_length=500)),
                ('text', models.TextField()),
                ('text_sha256', models.CharField(max_length=64)),
                ('embed_sha256', models.CharField(max_length=64)),
                ('embedding', pgvector.django.vector.VectorField(dimensions=384)),
                ('term_count', models.IntegerField()),
                ('search_text', models.TextField()),
                ('search', models.GeneratedField(db_persist=True, expression=django.db.models.functions.comparison.Cast('search_text', django.contrib.postgres.search.SearchVectorField()), output_field=django.contrib.postgres.search.SearchVectorField())),
                ('document', models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.CASCADE, related_name='chunks', to='knowledge.document')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'objects',
                'indexes': [models.Index(fields=['tenant_id', 'collection'], name='knowledge_chunk_tenant'), models.Index(fields=['tenant_id', 'embed_sha256'], name='knowledge_chunk_embed'), pgvector.django.indexes.HnswIndex(ef_construction=64, fields=['embedding'], m=16, name='knowledge_chunk_hnsw', opclasses=['vector_cosine_ops']), django.contrib.postgres.indexes.GinIndex(fields=['tenant_id', 'search'], name='knowledge_chunk_search', opclasses=['uuid_ops', 'tsvector_ops']), django.contrib.postgres.indexes.GinIndex(fields=['tenant_id', 'text'], name='knowledge_chunk_trgm', opclasses=['uuid_ops', 'gin_trgm_ops'])],
                'constraints': [models.UniqueConstraint(fields=('tenant_id', 'id'), name='knowledge_chunk_tenant_id_uniq'), models.UniqueConstraint(fields=('tenant_id', 'document', 'ordinal'), name='knowledge_chunk_ordinal')],
            },
        ),
        migrations.AddConstraint(
            model_name='document',
            constraint=models.UniqueConstraint(fields=('tenant_id', 'id'), name='knowledge_document_tenant_id_uniq'),
        ),
        migrations.AddConstraint(
            model_name='document',
            constraint=models.UniqueConstraint(fields=('tenant_id', 'source', 'name_sha256'), name='knowledge_document_name'),
        ),
        migrations.AddConstraint(
            model_name='sourcefile',
            constraint=models.UniqueConstraint(fields=('tenant_id', 'id'), name='knowledge_sourcefile_tenant_id_uniq'),
        ),
        *(organization_fk(table) for table in TABLES),
        *(tenant_rls(table) for table in TABLES),
        tenant_fk('knowledge_sourcefile', 'source_id', 'knowledge_source'),
        tenant_fk('knowledge_document', 'source_id', 'knowledge_source'),
        tenant_fk('knowledge_chunk', 'source_id', 'knowledge_source'),
        tenant_fk('knowledge_chunk', 'document_id', 'knowledge_document'),
    ]
