"""Retrieval: what is found, in which order, for whom."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client

from apps.core.errors import Invalid, NotFound
from apps.core.tenancy import tenant_scope
from apps.knowledge.links import passage_token_read
from apps.knowledge.models import Chunk, Document
from apps.knowledge.ranking import DEFAULT_RANK_RULES, RankRules
from apps.knowledge.selectors import passage_view, passages_search
from apps.knowledge.services import passage_link, source_delete, source_reingest
from tests.knowledge.conftest import run_job

Add = Callable[..., Any]
GUIDE = (
    "# Guide\n\n## Returns\n\nGoods go back within seven days.\n\n## Shipping\n\nParcels leave the warehouse at noon."
    "\n\n## Invoices\n\nInvoices come by electronic mail."
)


def texts(tenant: Any, query: str, **options: Any) -> list[str]:
    return [p.text for p in passages_search(tenant_id=tenant.id, query=query, **options).passages]


def token_of(url: str) -> str:
    from urllib.parse import parse_qs, urlsplit

    return parse_qs(urlsplit(url).query)["t"][0]


def test_best_passage_comes_first(tenant: Any, add_text: Add) -> None:
    add_text(tenant, "Guide", GUIDE)
    found = passages_search(tenant_id=tenant.id, query="When do parcels leave the warehouse?")
    assert found.passages[0].heading == "Shipping"
    assert [p.score for p in found.passages] == sorted((p.score for p in found.passages), reverse=True)
    assert found.terms == ("parcel", "leav", "warehous")


def test_score_is_cosine_and_a_share_of_the_words(tenant: Any, add_text: Add) -> None:
    add_text(tenant, "Guide", GUIDE)
    found = passages_search(tenant_id=tenant.id, query="parcels").passages[0]
    assert 0 < found.lexical <= 1
    assert found.score == pytest.approx(found.cosine + DEFAULT_RANK_RULES.lexical_weight * found.lexical)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_k_bounds_the_result(tenant: Any, add_text: Add, k: int) -> None:
    add_text(tenant, "Guide", GUIDE)
    assert len(texts(tenant, "goods parcels invoices", k=k)) == k


@pytest.mark.parametrize("k", [0, -1, 51])
def test_k_outside_its_range_is_refused(tenant: Any, k: int) -> None:
    with pytest.raises(Invalid) as caught:
        passages_search(tenant_id=tenant.id, query="x", k=k)
    assert caught.value.code == "k_invalid"


@pytest.mark.parametrize("query", ["", "  ", "\x00", "\n\t"])
def test_empty_query_is_refused(tenant: Any, query: str) -> None:
    with pytest.raises(Invalid) as caught:
        passages_search(tenant_id=tenant.id, query=query)
    assert caught.value.code == "query_missing"


@pytest.mark.parametrize(
    "query",
    ["'", "''' OR 1=1 --", "a & b | !c", "%", "\\", "(((", ":*", "<->", "the of and", "?!", "😀", "x" * 5000, "a\x00b",
     "\ud800", "'; DROP TABLE knowledge_chunk; --", "%s %(tenant)s {collections}", "\u202e", "1" * 300],
)  # fmt: skip
def test_odd_query_is_answered(tenant: Any, add_text: Add, query: str) -> None:
    add_text(tenant, "Guide", GUIDE)
    assert len(texts(tenant, query)) <= 8


def test_empty_knowledge_gives_nothing(tenant: Any) -> None:
    assert texts(tenant, "anything") == []


def test_collections_limit_the_search(tenant: Any, add_text: Add) -> None:
    add_text(tenant, "A", "Tea is hot.", collection="drinks")
    add_text(tenant, "B", "Tea towels are dry.", collection="linen")
    assert texts(tenant, "tea", collections=["linen"]) == ["Tea towels are dry."]
    assert texts(tenant, "tea", collections=["none"]) == []
    assert len(texts(tenant, "tea")) == 2
    assert texts(tenant, "teaa", collections=["drinks"]) == ["Tea is hot."]


def test_chinese_is_found_by_its_words(tenant: Any, add_text: Add) -> None:
    add_text(tenant, "Guide", GUIDE)
    add_text(tenant, "商店", "# 退款\n\n顾客可以在七天内申请退款。\n\n# 运费\n\n运费由商店承担。")
    found = passages_search(tenant_id=tenant.id, query="请问如何申请退款？").passages[0]
    assert found.text == "顾客可以在七天内申请退款。"
    assert found.lexical > 0.3


def test_word_forms_meet(tenant: Any, add_text: Add) -> None:
    add_text(tenant, "T", "# A\n\nRefunding is easy.\n\n# B\n\nNothing else matters.")
    assert passages_search(tenant_id=tenant.id, query="refunds refunded").passages[0].lexical > 0


def test_misspelt_word_counts_for_the_word_it_is_like(tenant: Any, add_text: Add) -> None:
    add_text(tenant, "T", "# A\n\nThe warehouse is closed.\n\n# B\n\nSomething else entirely.")
    found = {p.heading: p.lexical for p in passages_search(tenant_id=tenant.id, query="warehuose").passages}
    assert found["A"] > found["B"] == 0


@pytest.mark.parametrize("typo", ["warehuose", "warehous3", "warehousse", "warehose", "Warehuose!"])
def test_misspelt_words_of_many_kinds_find_their_passage(tenant: Any, add_text: Add, typo: str) -> None:
    add_text(tenant, "T", "# A\n\nThe warehouse is closed, waived, wide, wet.\n\n# B\n\nSomething else entirely.")
    found = {p.heading: p.lexical for p in passages_search(tenant_id=tenant.id, query=typo).passages}
    assert found["A"] > found["B"] == 0


def test_misspelt_word_is_not_taken_for_a_word_of_others(tenant: Any, other_tenant: Any, add_text: Add) -> None:
    add_text(tenant, "T", "Something else entirely.")
    add_text(other_tenant, "T", "The warehouse is closed.")
    assert [p.lexical for p in passages_search(tenant_id=tenant.id, query="warehuose").passages] == [0]


def test_misspelt_word_is_compared_with_words_not_with_passages(tenant: Any, add_text: Add) -> None:
    """Read from the index of words, one after the other; passages are looked up by the words that are like it."""
    for number in range(3):
        add_text(tenant, f"T{number}", f"The warehouse is closed. Number{number}.")
    plans = []

    def explain(execute: Any, statement: str, params: Any, many: bool, context: Any) -> Any:
        if "word_similarity" in statement or "near.chunk_id" in statement:
            execute(f"EXPLAIN {statement}", params, many, context)
            plans.append("\n".join(line for (line,) in context["cursor"].fetchall()))
        return execute(statement, params, many, context)

    with tenant_scope(tenant.id):
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")
        with connection.execute_wrapper(explain):
            assert len(texts(tenant, "warehuose")) == 3
    words, passages = plans
    assert ("knowledge_chunkterm_pkey" in words, "knowledge_chunk " in words) == (True, False)
    assert "Index Cond: ((tenant_id" in passages
    assert "Seq Scan" not in words + passages


def test_same_text_in_two_documents_is_given_once(tenant: Any, add_text: Add) -> None:
    add_text(tenant, "One", "Tea is served at five.")
    add_text(tenant, "Two", "Tea is served at five.")
    assert texts(tenant, "tea at five") == ["Tea is served at five."]


def test_one_section_does_not_fill_the_result(tenant: Any, add_text: Add) -> None:
    long = "# Tea\n\n" + " ".join(f"Tea number {n} is poured into cup {n} at table {n}." for n in range(120))
    add_text(tenant, "T", long + "\n\n# Coffee\n\nCoffee and tea are hot.")
    rules = RankRules(per_section=2)
    found = passages_search(tenant_id=tenant.id, query="tea cup table", k=5, rules=rules)
    headings = [p.heading for p in found.passages]
    assert sorted(headings) == ["Coffee", "Tea", "Tea"]


def test_a_text_without_headings_gives_as_many_passages_as_are_asked_for(tenant: Any, add_text: Add) -> None:
    add_text(tenant, "T", " ".join(f"Tea number {n} is poured into cup {n} at table {n}." for n in range(200)))
    found = passages_search(tenant_id=tenant.id, query="tea cup table", k=4).passages
    assert len({p.text for p in found}) == 4


def test_a_code_is_not_taken_for_one_like_it(tenant: Any, add_text: Add) -> None:
    add_text(tenant, "T", "Article ZR44410 is a valve. Article 444100 is a tap.")
    assert [
        passages_search(tenant_id=tenant.id, query=query).passages[0].lexical for query in ("zr44411", "444101")
    ] == [
        0,
        0,
    ]


def test_passages_of_others_are_never_found(tenant: Any, other_tenant: Any, add_text: Add) -> None:
    add_text(tenant, "T", "The code word is amber. Ours.")
    add_text(other_tenant, "T", "The code word is amber. Theirs.")
    queries = ["code word amber", "amber theirs", "list all companies", "ignore the filter", "Borealis", "Theirs"]
    found = {text for query in queries for text in texts(tenant, query, k=50)}
    assert found == {"The code word is amber. Ours."}


def test_small_organisation_beside_a_large_one_finds_everything(tenant: Any, other_tenant: Any, add_text: Add) -> None:
    """An approximate index that is filtered afterwards loses the small one's rows."""
    add_text(other_tenant, "Big", "\n\n".join(f"# H{n}\n\nTea and cake number {n}." for n in range(600)))
    add_text(tenant, "Small", "\n\n".join(f"# H{n}\n\nTea and cake {n}." for n in range(10)))
    assert len(texts(tenant, "tea and cake", k=10)) == 10


def test_scan_goes_on_until_enough_rows_are_found(tenant: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT '[1]'::vector")
        cursor.execute("SHOW hnsw.iterative_scan")
        assert cursor.fetchone() == ("relaxed_order",)


def test_statistics_are_those_of_the_own_passages(tenant: Any, other_tenant: Any, add_text: Add) -> None:
    add_text(tenant, "T", "# A\n\nTea.\n\n# B\n\nCake.")
    alone = passages_search(tenant_id=tenant.id, query="tea").passages[0].lexical
    add_text(other_tenant, "Big", "\n\n".join(f"# H{n}\n\nTea {n}." for n in range(30)))
    assert passages_search(tenant_id=tenant.id, query="tea").passages[0].lexical == alone


def test_link_opens_the_document_at_the_passage(tenant: Any, add_text: Add) -> None:
    add_text(tenant, "Guide", GUIDE)
    found = passages_search(tenant_id=tenant.id, query="parcels warehouse").passages[0]
    view = passage_view(token=token_of(found.url))
    assert view.found is not None
    assert (view.title, view.chunks[view.found].text, len(view.chunks)) == ("Guide", found.text, 3)
    assert passage_link(tenant_id=tenant.id, chunk_id=found.chunk_id).startswith("/knowledge/passage?t=")


def test_link_survives_another_reading(tenant: Any, add_text: Add, stored: Any) -> None:
    source = add_text(tenant, "Guide", GUIDE)
    url = passages_search(tenant_id=tenant.id, query="parcels warehouse").passages[0].url
    (path,) = [p for p in stored.rglob("*") if p.is_file()]
    path.write_text("# Guide\n\n## News\n\nA first section.\n\n" + GUIDE.partition("\n\n")[2])
    source_reingest(tenant_id=tenant.id, source_id=source.id)
    run_job(tenant.id, source)
    view = passage_view(token=token_of(url))
    assert view.found is not None
    assert view.chunks[view.found].text == "Parcels leave the warehouse at noon."


def test_link_to_a_passage_that_was_changed_shows_the_place(tenant: Any, add_text: Add, stored: Any) -> None:
    source = add_text(tenant, "Guide", GUIDE)
    url = passages_search(tenant_id=tenant.id, query="parcels warehouse").passages[0].url
    (path,) = [p for p in stored.rglob("*") if p.is_file()]
    path.write_text(GUIDE.replace("at noon", "at nine"))
    source_reingest(tenant_id=tenant.id, source_id=source.id)
    run_job(tenant.id, source)
    view = passage_view(token=token_of(url))
    assert (view.found, len(view.chunks)) == (None, 3)


def test_link_to_a_removed_document_says_so(tenant: Any, add_text: Add) -> None:
    source = add_text(tenant, "Guide", GUIDE)
    url = passages_search(tenant_id=tenant.id, query="parcels").passages[0].url
    source_delete(tenant_id=tenant.id, source_id=source.id)
    with pytest.raises(NotFound) as caught:
        passage_view(token=token_of(url))
    assert caught.value.code == "passage_gone"
    assert Client(headers={"Host": "127.0.0.1"}).get(url).status_code == 404


@pytest.mark.parametrize(
    "change", [lambda t: t[:-1], lambda t: "x" + t, lambda t: "", lambda t: t.upper(), lambda t: "a.b.c"]
)
def test_forged_link_is_refused(tenant: Any, add_text: Add, change: Callable[[str], str]) -> None:
    add_text(tenant, "Guide", GUIDE)
    token = token_of(passages_search(tenant_id=tenant.id, query="parcels").passages[0].url)
    with pytest.raises(NotFound) as caught:
        passage_token_read(change(token))
    assert caught.value.code == "link_invalid"


def test_page_of_a_passage_needs_no_session_and_marks_it(tenant: Any, add_text: Add) -> None:
    add_text(tenant, "Guide <b>", GUIDE.replace("at noon", "<script>alert(1)</script> at noon `<i>x</i>`"))
    url = passages_search(tenant_id=tenant.id, query="parcels warehouse").passages[0].url
    page = Client(headers={"Host": "127.0.0.1"}).get(url)
    body = page.content.decode()
    assert page.status_code == 200
    assert 'reader__text--cited" id="passage"' in body
    assert "<i>x" not in body
    assert "&lt;i&gt;x" in body
    assert (page.headers["X-Robots-Tag"], "no-store" in page.headers["Cache-Control"]) == ("noindex", True)


def test_passages_have_composite_keys(tenant: Any, add_text: Add) -> None:
    """They refuse a passage that points at another organisation's document or source."""
    add_text(tenant, "Guide", GUIDE)
    with tenant_scope(tenant.id), connection.cursor() as cursor:
        document = Document.objects.get()
        chunk = Chunk.objects.first()
        assert chunk is not None
        assert (chunk.tenant_id, chunk.document_id) == (tenant.id, document.id)
        cursor.execute(
            "SELECT conname FROM pg_constraint WHERE conrelid = 'knowledge_chunk'::regclass AND contype = 'f' ORDER BY 1"
        )
        assert [name for (name,) in cursor.fetchall()] == [
            "knowledge_chunk_document_id_tenant_fk",
            "knowledge_chunk_organization_fk",
            "knowledge_chunk_source_id_tenant_fk",
        ]


def test_reference_to_a_foreign_document_is_refused(tenant: Any, other_tenant: Any, add_text: Add) -> None:
    from django.db import IntegrityError

    source = add_text(tenant, "Ours", "words")
    add_text(other_tenant, "Theirs", "words")
    with tenant_scope(other_tenant.id):
        theirs = Document.objects.get()
    with pytest.raises(IntegrityError):
        _move(tenant, source.id, theirs.id)


def _move(tenant: Any, source_id: uuid.UUID, document_id: uuid.UUID) -> None:
    with tenant_scope(tenant.id), transaction.atomic(), connection.cursor() as cursor:
        Chunk.objects.filter(source_id=source_id).update(document_id=document_id)
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


def test_ten_organisations_with_the_same_text_find_only_their_own(db: None, add_text: Add) -> None:
    from apps.tenants.services import organization_create

    rows = [organization_create(name=f"Org {n}", slug=f"org-{n}") for n in range(10)]
    for row in rows:
        body = "\n\n".join(f"# H{n}\n\nThe delivery rule number {n} is canary{row.slug[4:]}." for n in range(20))
        add_text(row, "Rules", body)
    queries = ["delivery rule", "rule number 7", "canary3", "canary of other companies", "show everything of org-5"]
    found = {
        (row.slug[4:], text.rpartition("canary")[2].rstrip("."))
        for row in rows
        for query in queries * 4
        for text in texts(row, query, k=10)
    }
    assert found == {(row.slug[4:], row.slug[4:]) for row in rows}
