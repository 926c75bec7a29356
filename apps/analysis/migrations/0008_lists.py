"""Lists of glossaries, approved translations and documents in the order of their pages, made while in use."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models

LISTS = {
    "glossaryentry": "analysis_glossary_list",
    "memoryunit": "analysis_memory_list",
    "translateddocument": "analysis_document_list",
}


class Migration(migrations.Migration):
    # An index cannot be made beside running processes inside a transaction.
    atomic = False

    dependencies = [("analysis", "0007_spaces_keys")]

    operations = [
        AddIndexConcurrently(model, models.Index(fields=["tenant_id", "-id"], name=name))
        for model, name in LISTS.items()
    ]
