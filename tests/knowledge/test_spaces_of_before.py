"""Passages of before their vectors had a space: each goes where its digest proves it to be, those of every organisation."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from django.db import connection

from apps.core.tenancy import tenant_scope
from apps.inference.models import VectorSpace
from apps.knowledge.models import Chunk, ChunkTerm, ChunkVector
from apps.knowledge.selectors import passages_search
from apps.knowledge.services.vectors import embedded_text
from apps.knowledge.services.write import sha256
from apps.knowledge.types import SourceInfo
from nlpsuite.settings import env
from nlpsuite.settings.parts.database import OWNER_ROLE

pytestmark = pytest.mark.django_db(transaction=True)
MIGRATION = import_module("apps.knowledge.migrations.0003_spaces_of_before")
OLD, OTHER = "all-minilm-l6-v2@0.1.0", "stranger@3"
PAGE = (
    b"# Yard\n\nThe yard is large.\n\n## Pallets\n\nPallets leave on Tuesday.\n\n### Stone\n\nStone leaves on Friday.\n"
)


def _as_before(tenant: Any, space: str) -> dict[Any, str]:
    """Take away what the version before did not have; returns the digests of what was embedded."""
    with tenant_scope(tenant.id):
        chunks = list(Chunk.objects.select_related("document"))
        texts = {chunk.id: embedded_text(chunk) for chunk in chunks}
        for chunk in chunks:
            Chunk.objects.filter(id=chunk.id).update(context=None, embed_sha256=sha256(f"{space}\n{texts[chunk.id]}"))
        for model in (ChunkVector, ChunkTerm):
            model.objects.all()._raw_delete("default")
    return {key: sha256(text) for key, text in texts.items()}


def _migrate() -> None:
    """As the owner of the tables, whom the wall stops too."""
    found = connection.settings_dict
    where: dict[str, Any] = {name.lower(): found[name] for name in ("HOST", "PORT")}
    with psycopg.connect(
        **where, dbname=found["NAME"], user=OWNER_ROLE, password=env.secrets_read()["pg_owner"]
    ) as owner:
        MIGRATION.fill(None, SimpleNamespace(connection=owner))


def test_a_passage_goes_where_its_digest_proves_it_to_be(
    tenant: Any, other_tenant: Any, add_files: Callable[..., SourceInfo]
) -> None:
    for one in (tenant, other_tenant):
        add_files(one, {"a.md": PAGE})
    with tenant_scope(tenant.id):
        terms = set(ChunkTerm.objects.values_list("term", "chunk_id"))
    wanted, _ = _as_before(tenant, OLD), _as_before(other_tenant, OTHER)
    _migrate()
    with tenant_scope(tenant.id):
        rows = ChunkVector.objects.values_list("chunk_id", "space", "embed_sha256")
        assert {(key, space, digest) for key, space, digest in rows} == {(k, OLD, d) for k, d in wanted.items()}
        assert set(ChunkTerm.objects.values_list("term", "chunk_id")) == terms
        assert VectorSpace.objects.get(holder="passages").serving == OLD
    with tenant_scope(other_tenant.id):
        assert ChunkVector.objects.count() == 0
    assert len(wanted) >= 3


def test_what_nothing_proves_is_found_by_its_words(tenant: Any, add_files: Callable[..., SourceInfo]) -> None:
    add_files(tenant, {"a.md": PAGE})
    _as_before(tenant, OTHER)
    _migrate()
    (first, *_) = passages_search(tenant_id=tenant.id, query="pallets tuesday").passages
    assert (first.heading, first.cosine) == ("Pallets", 0.0)


def test_words_go_with_their_passage(tenant: Any, other_tenant: Any, add_files: Callable[..., SourceInfo]) -> None:
    for one in (tenant, other_tenant):
        add_files(one, {"a.md": PAGE})
    with tenant_scope(tenant.id):
        Chunk.objects.all()._raw_delete("default")
        assert ChunkTerm.objects.count() == 0
    with tenant_scope(other_tenant.id):
        assert ChunkTerm.objects.filter(term="pallet").count() == 2
