"""The approximate index over the rows of vectors, in one go; and off with those that no search uses any more.

Two of them never were used: below row-level security neither "matches" nor "is like" may look into an index.
"""

import pgvector.django.indexes
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("knowledge", "0003_spaces_of_before")]

    operations = [
        migrations.AddIndex(
            "chunkvector",
            pgvector.django.indexes.HnswIndex(
                ef_construction=64,
                fields=["embedding"],
                m=16,
                name="knowledge_chunkvector_hnsw",
                opclasses=["vector_cosine_ops"],
            ),
        ),
        migrations.RemoveIndex("chunk", "knowledge_chunk_hnsw"),
        migrations.RemoveIndex("chunk", "knowledge_chunk_search"),
        migrations.RemoveIndex("chunk", "knowledge_chunk_trgm"),
    ]
