"""Documents come back in their format: what is no text is as it was, and hostile files are refused."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import docx
import polib
import pytest
from docx.enum.text import WD_BREAK
from docx.oxml import OxmlElement
from docx.oxml.ns import qn

from apps.inference.services import sentences_split
from apps.translation.markup import box
from apps.translation.markup.box import BoxedDocument
from apps.translation.markup.documents import DocumentRefused, document_read, format_of
from apps.translation.markup.segments import Translation
from tests.translation.test_marks import backwards, capitals


def written(data: bytes, kind: str, model: Any = capitals, target: str = "pt") -> bytes:
    document = document_read(data, kind)
    return document.written(Translation(document.segments, split=sentences_split).run(model), target=target)


# -- DOCX ------------------------------------------------------------------------------------------------------------
def word(document: Any) -> bytes:
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def example() -> Any:
    document = docx.Document()
    document.add_heading("Your order", 1)
    paragraph = document.add_paragraph("The ")
    paragraph.add_run("red shoes").bold = True
    paragraph.add_run(" cost 1,234.50 and {name} pays.")
    link = OxmlElement("w:hyperlink")
    link.set(qn("w:anchor"), "here")
    run = OxmlElement("w:r")
    text = OxmlElement("w:t")
    text.text = "read more"
    run.append(text)
    link.append(run)
    paragraph._p.append(link)
    cells = document.add_table(1, 2).rows[0].cells
    cells[0].text, cells[1].text = "first cell", "42"
    broken = document.add_paragraph("one line")
    broken.runs[0].add_break(WD_BREAK.LINE)
    broken.runs[0].add_text("next line")
    document.sections[0].header.paragraphs[0].text = "page head"
    return document


def test_word_documents_keep_their_looks() -> None:
    found = docx.Document(io.BytesIO(written(word(example()), "docx")))
    texts = [paragraph.text for paragraph in found.paragraphs]
    assert texts[0] == "YOUR ORDER"
    assert texts[1].startswith("THE RED SHOES COST 1,234.50 AND {name} PAYS.")
    assert texts[2] == "ONE LINE\nNEXT LINE"
    assert [run.text for run in found.paragraphs[1].runs if run.bold] == ["RED SHOES"]
    assert [link.text for link in found.paragraphs[1].hyperlinks] == ["READ MORE"]
    assert [link.fragment for link in found.paragraphs[1].hyperlinks] == ["here"]
    assert [cell.text for cell in found.tables[0].rows[0].cells] == ["FIRST CELL", "42"]
    assert found.sections[0].header.paragraphs[0].text == "PAGE HEAD"
    assert found.paragraphs[0].style.name == "Heading 1"


def test_a_look_follows_its_words_when_a_model_moves_them() -> None:
    document = docx.Document()
    paragraph = document.add_paragraph("press ")
    paragraph.add_run("save").bold = True
    paragraph.add_run(" and leave")
    found = docx.Document(io.BytesIO(written(word(document), "docx", backwards)))
    assert [run.text.strip() for run in found.paragraphs[0].runs if run.bold] == ["save"]


def test_all_other_parts_of_a_word_document_are_as_they_were() -> None:
    data = word(example())
    with zipfile.ZipFile(io.BytesIO(data)) as before, zipfile.ZipFile(io.BytesIO(written(data, "docx"))) as after:
        assert before.namelist() == after.namelist()
        kept = [name for name in before.namelist() if not re.match(r"word/(document|header\d)\.xml", name)]
        assert {name: before.read(name) for name in kept} == {name: after.read(name) for name in kept}


def test_more_looks_than_words_are_parted_into_texts() -> None:
    document = docx.Document()
    paragraph = document.add_paragraph()
    for number in range(500):
        paragraph.add_run(f"word{number} ").bold = bool(number % 2)
    found = docx.Document(io.BytesIO(written(word(document), "docx")))
    assert found.paragraphs[0].text == paragraph.text.upper()
    bold = "".join(run.text for run in found.paragraphs[0].runs if run.bold)
    assert bold.split() == [f"WORD{number}" for number in range(1, 500, 2)]


def archive(**changed: bytes) -> bytes:
    out = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(word(example()))) as source,
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made,
    ):
        for name in source.namelist():
            made.writestr(name, changed.pop(name.rsplit("/", 1)[-1].split(".")[0], None) or source.read(name))
    return out.getvalue()


def many(count: int) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        for name in ("[Content_Types].xml", "word/document.xml", *(f"x{number}" for number in range(count))):
            made.writestr(name, "x")
    return out.getvalue()


LAUGHS = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><w:document>&b;</w:document>'
HOSTILE: list[tuple[str, Any, set[str]]] = [
    ("a part that inflates", lambda: archive(document=b"<x>" + b" " * 60_000_000 + b"</x>"), {"bomb_refused"}),
    ("entities", lambda: archive(document=LAUGHS), {"bomb_refused"}),
    ("a large part", lambda: archive(document=b"<x>" + bytes(range(65, 91)) * 350_000), {"too_large", "bomb_refused"}),
    ("many entries", lambda: many(5_000), {"bomb_refused"}),
    ("no XML", lambda: archive(document=b"\xff\x00 no xml"), {"bomb_refused", "extract_failed"}),
    ("open XML", lambda: archive(document=b"<w:document>"), {"extract_failed"}),
    ("half a file", lambda: word(example())[:5_000], {"extract_failed"}),
    ("no archive", lambda: b"PK\x03\x04" + b"\x00" * 100, {"extract_failed"}),
    ("text", lambda: b"hello", {"extract_failed"}),
    ("another archive", lambda: many(1), {"unsupported_type"}),
    ("a deep tree", lambda: archive(document=b"<x>" * 5_000 + b"</x>" * 5_000), {"extract_failed"}),
]  # fmt: skip


@pytest.mark.parametrize(("make", "codes"), [one[1:] for one in HOSTILE], ids=[one[0] for one in HOSTILE])
def test_hostile_archives_are_refused_quickly(make: Any, codes: set[str]) -> None:
    data = make()
    begun = time.monotonic()
    with pytest.raises(DocumentRefused) as caught:
        document_read(data, "docx")
    assert caught.value.code in codes
    assert time.monotonic() - begun < 20


# -- PO --------------------------------------------------------------------------------------------------------------
PO = """# A comment
msgid ""
msgstr ""
"Project-Id-Version: x\\n"
"Content-Type: text/plain; charset=UTF-8\\n"

#: a.py:1
#, python-format
msgid "Hello %(name)s"
msgstr ""

msgid "done"
msgstr "feito"

#, fuzzy
msgid "guessed"
msgstr "talvez"

msgid "%d item"
msgid_plural "%d items"
msgstr[0] ""
msgstr[1] ""

msgctxt "menu"
msgid ""
"two\\n"
"lines\\n"
msgstr ""

#~ msgid "old"
#~ msgstr ""
"""


def test_catalogues_get_what_they_lack_and_keep_what_people_wrote() -> None:
    found = polib.pofile(written(PO.encode(), "po", target="pt-BR").decode())
    texts = {entry.msgid: entry.msgstr or entry.msgstr_plural for entry in found}
    assert texts == {
        "Hello %(name)s": "HELLO %(name)s",
        "done": "feito",
        "guessed": "GUESSED",
        "%d item": {0: "%d ITEM", 1: "%d ITEMS"},
        "two\nlines\n": "TWO\nLINES\n",
        "old": {},
    }
    assert found.metadata["Language"] == "pt_BR"
    assert found.metadata["Plural-Forms"] == "nplurals=2; plural=(n > 1);"
    assert [entry.flags for entry in found if entry.msgid == "guessed"] == [[]]
    assert next(entry.occurrences for entry in found) == [("a.py", "1")]


@pytest.mark.parametrize(
    ("header", "forms"), [("nplurals=3; plural=0;", 3), ("nplurals=1; plural=0;", 1), ("nplurals=99;", 2)]
)
def test_plurals_have_the_forms_that_the_header_says(header: str, forms: int) -> None:
    data = PO.replace('"Project-Id', f'"Plural-Forms: {header}\\n"\n"Project-Id')
    found = polib.pofile(written(data.encode(), "po").decode())
    assert [len(entry.msgstr_plural) for entry in found if entry.msgid_plural] == [forms]


def test_a_catalogue_that_is_a_files_name_opens_no_file(tmp_path: Path) -> None:
    secret = tmp_path / "secret.po"
    secret.write_text(PO)
    with pytest.raises(DocumentRefused):
        document_read(str(secret).encode(), "po")


# -- subtitles and texts ---------------------------------------------------------------------------------------------
SRT = """1
00:00:01,000 --> 00:00:04,000
we had a very long day today
and nobody came

2
00:00:05,000 --> 00:00:06,500 X1:1
- <i>who</i> is there?
- {\\an8}me

3
00:00:07,000 --> 00:00:08,000
42
"""


def test_subtitles_keep_times_speakers_tags_and_lines() -> None:
    found = written(SRT.encode(), "srt").decode()
    words = {"we had a very long day today", "and nobody came", "who", "is there?", "me"}
    expected = re.sub("|".join(map(re.escape, words)), lambda m: m[0].upper(), SRT)
    assert found.split() == expected.split()
    assert [len(cue.splitlines()) for cue in found.split("\n\n")] == [
        len(cue.splitlines()) for cue in SRT.split("\n\n")
    ]


@pytest.mark.parametrize("data", ["\ufeffhello\r\nyou\r\n".encode(), "olá mundo".encode("cp1252"), b"", b"\n\n"])
def test_texts_keep_line_ends_and_come_back_in_utf_8(data: bytes) -> None:
    found = written(data, "txt").decode()
    text = data.decode("utf-8" if data[:3] == b"\xef\xbb\xbf" or not data.strip() else "cp1252")
    assert found == text.upper()


@pytest.mark.parametrize(
    ("data", "code"), [(b"\x00\x01\x02" * 100, "unsupported_type"), (b"word " * 500_000, "too_large")]
)
@pytest.mark.parametrize("kind", ["txt", "md", "html", "srt", "po"])
def test_what_is_no_text_or_too_long_is_refused(kind: str, data: bytes, code: str) -> None:
    with pytest.raises(DocumentRefused) as caught:
        document_read(data, kind)
    assert caught.value.code == code


WRAPPED = """  your order was sent to the shop yesterday, and it will arrive
  there before noon; please bring the number {number} with you
  always.

- first item of a list that is not cut
- second item of a list

A short
address
"""


def test_paragraphs_that_were_cut_are_read_whole_and_cut_again() -> None:
    asked: list[str] = []
    found = written(WRAPPED.encode(), "txt", lambda texts: asked.extend(texts) or capitals(texts)).decode()
    whole = " ".join(line.strip() for line in WRAPPED.splitlines()[:3])
    assert whole.replace("{number}", "XN41") in asked
    assert found == WRAPPED.upper().replace("{NUMBER}", "{number}")


def test_too_many_lines_are_refused() -> None:
    with pytest.raises(DocumentRefused) as caught:
        document_read(b"x\n" * 60_000, "txt")
    assert caught.value.code == "too_large"


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a.TXT", "txt"), ("b.markdown", "md"), ("c.htm", "html"), ("d.docx", "docx"), ("e.srt", "srt"), ("f.pot", "po")],
)
def test_the_name_says_the_format(name: str, kind: str) -> None:
    assert format_of(name) == kind


@pytest.mark.parametrize("name", ["a.pdf", "b", "", ".txt", "c.docm", "e.exe"])
def test_other_names_are_refused_with_those_that_are_known(name: str) -> None:
    with pytest.raises(DocumentRefused, match=r"\.docx"):
        format_of(name)


# -- the process that reads them -------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("kind", "data"),
    [("docx", word(example())), ("po", PO.encode()), ("srt", SRT.encode()), ("html", b"<p>a <b>b</b> &eacute;</p>")],
)
def test_the_boxed_process_does_what_the_plain_one_does(kind: str, data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(data)
    boxed, plain = BoxedDocument(str(path), kind), document_read(data, kind)
    assert boxed.segments == plain.segments
    made = [Translation(one.segments, split=sentences_split).run(capitals) for one in (boxed, plain)]
    assert _content(boxed.written(made[0], target="pt")) == _content(plain.written(made[1], target="pt"))


def test_a_document_that_takes_long_is_written_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check comes by meanwhile, again and again."""
    (tmp_path / "file").write_text("word " * 1_000)
    monkeypatch.setattr(box, "CHECK_S", 0.01)
    looked: list[int] = []
    boxed = BoxedDocument(str(tmp_path / "file"), "txt", check=lambda: looked.append(1))
    looked.clear()
    assert boxed.written(boxed.segments, target="pt").split() == [b"word"] * 1_000
    assert len(looked) > 1


def _content(data: bytes) -> Any:
    if not data.startswith(b"PK"):
        return data
    with zipfile.ZipFile(io.BytesIO(data)) as found:
        return {name: found.read(name) for name in found.namelist()}


@pytest.mark.parametrize(("make", "codes"), [one[1:] for one in HOSTILE], ids=[one[0] for one in HOSTILE])
def test_hostile_archives_are_refused_in_the_box_as_well(make: Any, codes: set[str], tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(make())
    with pytest.raises(DocumentRefused) as caught:
        BoxedDocument(str(tmp_path / "file"), "docx")
    assert caught.value.code in codes


ATTACKS = [
    "open('/etc/passwd').read()",
    "__import__('socket').socket()",
    "__import__('os').system('true')",
    "bytes(10**10)",
]


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_parser_that_is_taken_over_reaches_nothing(attack: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("hello")
    code = (
        "import sys, apps.translation.markup.__main__ as m\n"
        f"m.document_read = lambda data, kind: {attack}\n"
        "sys.exit(m.main(sys.argv[1:]))"
    )
    arguments = [str(768 * 1024**2), "20", "read", "txt", str(tmp_path / "file"), ""]
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, cwd=root, input=b"", capture_output=True, timeout=60, check=False)
    assert done.stdout.startswith(b"refused\n")


@pytest.mark.parametrize(
    ("limit", "value", "code"), [("MEMORY_BYTES", 1024, "bomb_refused"), ("TIMEOUT_S", 0.01, "extract_timeout")]
)
def test_a_document_that_needs_too_much_is_refused(
    limit: str, value: float, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("word " * 300_000)
    monkeypatch.setattr(box, limit, value)
    with pytest.raises(DocumentRefused) as caught:
        BoxedDocument(str(tmp_path / "file"), "txt")
    assert caught.value.code == code
