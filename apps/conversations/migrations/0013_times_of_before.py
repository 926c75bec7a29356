"""The times of conversations that are there already: a thousand in a transaction, so that nobody waits for them.

A conversation that is resolved was resolved at its last change, at the latest: when exactly was not kept.
"""

from django.db import migrations, transaction

AT_ONCE = 1_000
FIRST = "00000000-0000-0000-0000-000000000000"
PART = """
SELECT id FROM conversations_conversation WHERE tenant_id = %(tenant)s AND id > %(after)s ORDER BY id LIMIT %(most)s
"""
FILL = """
UPDATE conversations_conversation talk SET
  first_response_at = COALESCE(talk.first_response_at, said.at),
  resolved_at = COALESCE(talk.resolved_at, CASE talk.status WHEN 'resolved' THEN talk.updated_at END)
FROM unnest(%(ids)s::uuid[]) AS part(id) LEFT JOIN LATERAL (
  SELECT created_at AS at FROM conversations_message
  WHERE tenant_id = %(tenant)s AND conversation_id = part.id AND role = 'agent' AND NOT private ORDER BY seq LIMIT 1
) said ON true
WHERE talk.tenant_id = %(tenant)s AND talk.id = part.id
  AND ((talk.first_response_at IS NULL AND said.at IS NOT NULL)
    OR (talk.resolved_at IS NULL AND talk.status = 'resolved'))
"""


def fill(registry, schema_editor):
    """Organisation by organisation: the owner of the tables is bound by the wall too."""
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SELECT id FROM tenants_organization")
        tenants = [tenant for (tenant,) in cursor.fetchall()]
        for tenant in tenants:
            after = FIRST
            while after is not None:
                after = part(cursor, schema_editor.connection.alias, tenant, after)


def part(cursor, alias, tenant, after):
    """Fill in the next conversations; returns the last one's id, None when there are no more."""
    with transaction.atomic(alias):
        cursor.execute("SELECT set_config('app.tenant_id', %s, true)", [str(tenant)])
        cursor.execute(PART, {"tenant": tenant, "after": after, "most": AT_ONCE})
        ids = [row[0] for row in cursor.fetchall()]
        if ids:
            cursor.execute(FILL, {"tenant": tenant, "ids": ids})
    return ids[-1] if ids else None


class Migration(migrations.Migration):
    # Parts that are committed one by one.
    atomic = False

    dependencies = [("conversations", "0012_times")]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
