"""Vectors and words of the passages that there are.

Which encoder a vector is of can be proved: beside it lies the digest of the encoder's name and revision and the text. A
passage that none of the catalogue's encoders proves gets no vector here; the product computes it again by itself, and
finds the passage by its words until then. What serves is what most of an organisation's passages are of.
"""

import hashlib
from collections import Counter, defaultdict

from apps.inference.services import default_space, model_list
from apps.knowledge.chunking import context_of
from django.db import migrations

AT_ONCE = 2_000
ROWS = """
SELECT c.id, d.title, c.heading, c.text, c.embed_sha256 FROM knowledge_chunk c
JOIN knowledge_document d ON d.tenant_id = c.tenant_id AND d.id = c.document_id
WHERE c.tenant_id = %(tenant)s AND c.id > %(after)s ORDER BY c.id LIMIT %(limit)s
"""
VECTORS = """
INSERT INTO knowledge_chunkvector (id, tenant_id, chunk_id, collection, space, embed_sha256, embedding)
SELECT gen_random_uuid(), c.tenant_id, c.id, c.collection, %(space)s, w.digest, c.embedding
FROM unnest(%(ids)s::uuid[], %(digests)s::text[]) AS w(id, digest) JOIN knowledge_chunk c ON c.id = w.id
WHERE c.tenant_id = %(tenant)s
"""
TERMS = """
INSERT INTO knowledge_chunkterm (tenant_id, term, chunk_id)
SELECT c.tenant_id, said.lexeme, c.id FROM knowledge_chunk c CROSS JOIN LATERAL unnest(c.search) AS said
WHERE c.tenant_id = %(tenant)s AND c.id = ANY(%(ids)s::uuid[]) ON CONFLICT DO NOTHING
"""
SERVING = "UPDATE inference_vectorspace SET serving = %(space)s WHERE tenant_id = %(tenant)s AND holder = 'passages'"
FIRST = "00000000-0000-0000-0000-000000000000"


def fill(registry, schema_editor):
    """Organisation by organisation: the owner of the tables is bound by the wall too."""
    spaces = [default_space(), *(model.ref.space for model in model_list() if model.role == "embedding")]
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SELECT id FROM tenants_organization")
        for (tenant,) in cursor.fetchall():
            cursor.execute("SELECT set_config('app.tenant_id', %s, true)", [str(tenant)])
            _organization(cursor, tenant, list(dict.fromkeys(spaces)))
        cursor.execute("SELECT set_config('app.tenant_id', '', true)")


def _organization(cursor, tenant, spaces):
    found, after = Counter(), FIRST
    while True:
        cursor.execute(ROWS, {"tenant": tenant, "after": after, "limit": AT_ONCE})
        rows = cursor.fetchall()
        if not rows:
            break
        after = rows[-1][0]
        proved = defaultdict(list)
        for key, title, heading, text, digest in rows:
            if proof := _proof(title, heading, text, digest, spaces):
                proved[proof[0]].append((key, proof[1]))
        for space, pairs in proved.items():
            found[space] += len(pairs)
            ids, digests = (list(column) for column in zip(*pairs, strict=True))
            cursor.execute(VECTORS, {"tenant": tenant, "space": space, "ids": ids, "digests": digests})
        cursor.execute(TERMS, {"tenant": tenant, "ids": [row[0] for row in rows]})
    if found:
        cursor.execute(SERVING, {"tenant": tenant, "space": found.most_common(1)[0][0]})


def _proof(title, heading, text, digest, spaces):
    """Return the space of a vector and the digest of its text alone, or None."""
    for context in dict.fromkeys((context_of(title, heading), context_of("", heading), "")):
        embedded = f"{context}\n{text}".strip()
        for space in spaces:
            if _sha256(f"{space}\n{embedded}") == digest:
                return space, _sha256(embedded)
    return None


def _sha256(text):
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


class Migration(migrations.Migration):
    dependencies = [("knowledge", "0002_spaces")]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
