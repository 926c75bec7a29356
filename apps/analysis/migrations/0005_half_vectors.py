"""Vectors of messages in 16 bits a number. Rewrites the table and builds its index again."""

import pgvector.django.halfvec
import pgvector.django.indexes
from django.db import migrations

INDEX = "analysis_messagevector_hnsw"


class Migration(migrations.Migration):
    dependencies = [
        ("analysis", "0004_conversations"),
    ]

    operations = [
        migrations.RemoveIndex(model_name="messagevector", name=INDEX),
        migrations.AlterField(
            model_name="messagevector",
            name="embedding",
            field=pgvector.django.halfvec.HalfVectorField(dimensions=384),
        ),
        migrations.AddIndex(
            model_name="messagevector",
            index=pgvector.django.indexes.HnswIndex(
                ef_construction=64,
                fields=["embedding"],
                m=16,
                name=INDEX,
                opclasses=["halfvec_cosine_ops"],
            ),
        ),
    ]
