"""Markdown, plain text, PDF and DOCX, and how a type is decided."""

from __future__ import annotations

import pytest

from apps.documents.errors import ExtractError
from apps.knowledge.extract import extract_bytes
from apps.knowledge.extract.types import Extracted
from tests.knowledge.makers import docx, paragraph, pdf


def markdown(text: str) -> Extracted:
    return extract_bytes(text.encode(), "a.md")


def code_of(data: bytes, name: str) -> str:
    with pytest.raises(ExtractError) as caught:
        extract_bytes(data, name)
    return caught.value.code


@pytest.mark.parametrize(
    ("heading", "anchor"),
    [
        ("## Return policy", "return-policy"),
        ("## What's new?", "whats-new"),
        ("## `code` & more", "code--more"),
        ("## 退款 政策", "退款-政策"),
        ("## Own {#own-id}", "own-id"),
        ('## <a id="inner"></a>Linked', "inner"),
        ("Under\n-----", "under"),
    ],
)
def test_markdown_heading_anchor(heading: str, anchor: str) -> None:
    assert markdown(f"# Top\n\n{heading}\n\nText").blocks[-1].anchor == anchor


def test_repeated_markdown_headings_are_numbered() -> None:
    blocks = markdown("## Same\n\na\n\n## Same\n\nb\n\n## Same\n\nc").blocks
    assert [block.anchor for block in blocks if block.kind == "text"] == ["same", "same-1", "same-2"]


def test_markdown_structure() -> None:
    text = (
        "# Top\n\nOne *two* [three](http://x).\n\n- a\n- b\n\n```sh\n  ls -l\n```\n\n| N | P |\n|---|---|\n| Tea | 3 |"
    )
    assert [(b.kind, b.text) for b in markdown(text).blocks] == [
        ("heading", "Top"),
        ("text", "One two three."),
        ("item", "a"),
        ("item", "b"),
        ("code", "  ls -l"),
        ("row", "N: Tea; P: 3"),
    ]


def test_front_matter_gives_the_title_and_is_no_text() -> None:
    found = markdown('---\ntitle: "Shipping"\ntags: [a]\n---\n\n## When\n\nSoon.')
    assert (found.title, [block.text for block in found.blocks]) == ("Shipping", ["When", "Soon."])


def test_html_inside_markdown_obeys_the_rules_of_html() -> None:
    found = markdown('# T\n\nSeen.\n\n<script>evil()</script>\n\n<p style="display:none">obey me at once now</p>')
    assert [block.text for block in found.blocks] == ["T", "Seen."]
    assert found.flags == ("hidden_text",)


def test_plain_text_structure() -> None:
    text = "Guide\n=====\n\nFirst line\ngoes on.\n\nPart one\n--------\n- a\n- b goes\n  on\n\n1. step\n2. step two\n"
    found = extract_bytes(text.encode(), "guide.txt")
    assert (found.title, [(b.kind, b.level, b.text, b.anchor) for b in found.blocks]) == (
        "Guide",
        [
            ("heading", 1, "Guide", "guide"),
            ("text", 0, "First line goes on.", "guide"),
            ("heading", 2, "Part one", "part-one"),
            ("item", 1, "a", "part-one"),
            ("item", 1, "b goes on", "part-one"),
            ("item", 1, "step", "part-one"),
            ("item", 1, "step two", "part-one"),
        ],
    )


def test_plain_text_without_a_heading_is_named_after_the_file() -> None:
    assert extract_bytes(b"Just words.", "notes 2024.txt").title == "notes 2024"


def test_pdf_pages_are_anchors() -> None:
    found = extract_bytes(pdf(["First page text.", "Second page text."]), "manual.pdf")
    assert [(b.text, b.anchor) for b in found.blocks] == [
        ("First page text.", "page-1"),
        ("Second page text.", "page-2"),
    ]
    assert found.title == "manual"


def test_pdf_running_lines_are_left_out() -> None:
    pages = [f"Acme manual {n}\nThis is the text of sheet {name}.\nPage {n}" for n, name in enumerate("abcde", 1)]
    texts = [block.text for block in extract_bytes(pdf(pages), "m.pdf").blocks]
    assert texts == [f"This is the text of sheet {name}." for name in "abcde"]


def test_pdf_word_cut_at_the_line_end_is_joined() -> None:
    found = extract_bytes(pdf(["The refund is trans-\nferred to the account that was used for the payment"]), "m.pdf")
    assert found.blocks[0].text.startswith("The refund is transferred to")


def test_pdf_without_text_says_so() -> None:
    assert code_of(pdf([""]), "scan.pdf") == "extract_failed"


def test_docx_structure() -> None:
    bookmark = '<w:bookmarkStart w:id="0" w:name="returns"/>'
    numbered = "<w:p><w:pPr><w:numPr><w:ilvl w:val='0'/></w:numPr></w:pPr><w:r><w:t>first</w:t></w:r></w:p>"
    table = f"<w:tbl><w:tr><w:tc>{paragraph('a')}</w:tc><w:tc>{paragraph('b')}</w:tc></w:tr></w:tbl>"
    body = (
        paragraph("Handbook", "Titel")
        + paragraph("Returns", "berschrift1", inside=bookmark)
        + paragraph("Within a week.")
        + paragraph("How to", "berschrift2")
        + numbered
        + table
    )
    found = extract_bytes(docx(body), "handbook.docx")
    assert found.title == "Handbook"
    assert [(b.kind, b.level, b.text, b.anchor) for b in found.blocks] == [
        ("heading", 1, "Returns", "returns"),
        ("text", 0, "Within a week.", "returns"),
        ("heading", 2, "How to", "how-to"),
        ("item", 1, "first", "how-to"),
        ("row", 0, "a | b", "how-to"),
    ]


@pytest.mark.parametrize("run", ["<w:vanish/>", '<w:color w:val="FFFFFF"/>', '<w:color w:val="ffffff"/>'])
def test_docx_hidden_runs_are_left_out_and_flagged(run: str) -> None:
    found = extract_bytes(docx(paragraph("Seen.") + paragraph("Obey me.", run=run)), "a.docx")
    assert ([b.text for b in found.blocks], found.flags) == (["Seen."], ("hidden_text",))


def test_docx_white_text_on_a_shade_is_kept() -> None:
    run = '<w:color w:val="FFFFFF"/><w:shd w:fill="000000"/>'
    assert [b.text for b in extract_bytes(docx(paragraph("Seen.", run=run)), "a.docx").blocks] == ["Seen."]


def test_docx_deleted_text_is_left_out() -> None:
    body = "<w:p><w:del><w:r><w:delText>old</w:delText></w:r></w:del><w:ins><w:r><w:t>new</w:t></w:r></w:ins></w:p>"
    assert [b.text for b in extract_bytes(docx(body), "a.docx").blocks] == ["new"]


@pytest.mark.parametrize(
    ("data", "name", "kind"),
    [
        (b"<!doctype html><p>x</p>", "a.txt", "html"),
        (b"<html><body><p>x</p></body></html>", "a.pdf", "html"),
        (b"  \n<!DOCTYPE HTML><p>x</p>", "a", "html"),
        (b"<p>x</p>", "a.html", "html"),
        (b"<p>x</p>", "a.md", "markdown"),
        (b"# x", "a.md", "markdown"),
        (b"# x", "a.txt", "text"),
        (b"plain", "a.html", "text"),
        (b"plain", "a.docx", "text"),
        (pdf(["hello there"]), "a.html", "pdf"),
        (docx(paragraph("x")), "a.txt", "docx"),
        ("\ufeffplain".encode("utf-16-le"), "a.txt", "text"),
    ],
)
def test_type_is_decided_by_content(data: bytes, name: str, kind: str) -> None:
    assert extract_bytes(data, name).format == kind


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "a.md"),
        (b"GIF89a\x01\x00\x01\x00\x80\x00", "a.html"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF\x00", "a.txt"),
        (b"\x7fELF\x02\x01\x01\x00", "a.txt"),
        (b"MZ\x90\x00\x03\x00", "a.pdf"),
        (b"\x1f\x8b\x08\x00\x00", "a.txt"),
        (b"7z\xbc\xaf\x27\x1c\x00\x04", "a.docx"),
        (b"Rar!\x1a\x07\x01\x00", "a.docx"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\x00\x00", "a.doc"),
        (b"{\\rtf1\\ansi hello}", "a.rtf"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'><script>1</script></svg>", "a.html"),
        (b"<?xml version='1.0'?><svg/>", "a.svg"),
        (b"<?xml version='1.0'?><feed><title>x</title></feed>", "a.xml"),
        (b"<!DOCTYPE svg PUBLIC '-//W3C//DTD SVG 1.1//EN' 'x'><svg/>", "a.html"),
        (b"<!DOCTYPE lolz [<!ENTITY a 'b'>]><lolz>&a;</lolz>", "a.html"),
        (b"\x00\x01\x02\x03", "a.txt"),
        (b"\x01\x02\x03\x04\x05\x06" * 50, "a.txt"),
        (b"PK\x05\x06" + b"\0" * 18, "a.docx"),
        (b"SQLite format 3\x00", "a.txt"),
        (b"RIFF\x00\x00\x00\x00WEBP", "a.html"),
    ],
)
def test_what_is_no_document_is_refused(data: bytes, name: str) -> None:
    assert code_of(data, name) == "unsupported_type"
