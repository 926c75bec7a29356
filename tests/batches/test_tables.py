"""Tables are read and written row by row, whatever programs and people put into them."""

from __future__ import annotations

import csv
import io
import json
import random
import tracemalloc
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from apps.batches.tables.encoding import encoding_detect
from apps.batches.tables.read import format_of, table_open, table_preview
from apps.batches.tables.survey import Survey, rows_surveyed
from apps.batches.tables.times import time_parse
from apps.batches.tables.types import Format, RowProblem, TableError
from apps.batches.tables.write import WRITERS, cell_safe


def _file(folder: Path, name: str, content: str | bytes, encoding: str = "utf-8") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return path


def _rows(path: Path, kind: Format, **options: Any) -> tuple[list[str], list[Any]]:
    table = table_open(path, kind, **options)
    return table.header, list(table.records)


def test_more_rows_than_allowed_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.batches.tables.survey.MAX_ROWS", 3)
    table = table_open(_file(tmp_path, "a.csv", "text\na\nb\nc\nd\n"), "csv")
    rows = rows_surveyed(table, {"text": "text"}, Survey(), seed=1, max_chars=10)
    assert len([next(rows) for _ in range(3)]) == 3
    with pytest.raises(TableError) as refused:
        next(rows)
    assert refused.value.code == "too_many_rows"


# -- CSV -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(tmp_path: Path, delimiter: str) -> None:
    path = _file(
        tmp_path,
        "a.csv",
        f"id{delimiter}text\n1{delimiter}good, really\n2{delimiter}bad\n".replace("good, really", '"good, really"'),
    )
    assert _rows(path, "csv") == (["id", "text"], [["1", "good, really"], ["2", "bad"]])


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("utf-8", "Grüße, 你好, مرحبا, 🙂"),
        ("utf-8-sig", "Grüße, 你好"),
        ("utf-16", "Grüße, 你好"),
        ("cp1252", "Größe und Café für “alle”"),
        ("gb18030", "这个产品的质量很好，发货也快。"),
    ],
)
def test_the_encoding_is_found(tmp_path: Path, encoding: str, text: str) -> None:
    path = _file(tmp_path, "a.csv", f"text\n{text}\n{text}\n".replace(",", "，"), encoding)
    assert _rows(path, "csv")[1] == [[text.replace(",", "，")]] * 2


def test_a_cut_character_at_the_end_of_the_sample_is_still_utf8() -> None:
    assert encoding_detect("é".encode() * 100 + b"\xc3") == "utf-8"


def test_quotes_hold_delimiters_and_line_breaks(tmp_path: Path) -> None:
    path = _file(tmp_path, "a.csv", 'id,text\r\n1,"a ""b"",\r\nc"\r\n')
    assert _rows(path, "csv")[1] == [["1", 'a "b",\r\nc']]


def test_without_a_header_the_first_row_is_a_row(tmp_path: Path) -> None:
    path = _file(tmp_path, "a.csv", "good\nbad\n")
    assert _rows(path, "csv", header=False) == (["1"], [["good"], ["bad"]])


def test_columns_have_distinct_names(tmp_path: Path) -> None:
    path = _file(tmp_path, "a.csv", "text,,text\na,b,c\n")
    assert _rows(path, "csv")[0] == ["text", "2", "text (3)"]


def test_an_open_quote_is_an_error_that_names_the_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    previous = csv.field_size_limit(10_000)
    path = _file(tmp_path, "a.csv", 'text\nfine\n"open\n' + "x\n" * 10_000)
    with pytest.raises(TableError, match="quotation mark") as error:
        _rows(path, "csv")
    csv.field_size_limit(previous)
    assert error.value.code == "malformed"


def test_a_line_without_end_is_refused_and_not_held(tmp_path: Path) -> None:
    path = _file(tmp_path, "a.csv", b"text\n" + b"x" * 9_000_000)
    with pytest.raises(TableError) as error:
        _rows(path, "csv")
    assert error.value.code == "line_too_long"


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_an_empty_file_is_an_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(TableError) as error:
        _rows(_file(tmp_path, name, ""), "jsonl" if name.endswith("l") else "csv")
    assert error.value.code == "file_empty"


# -- JSON lines ------------------------------------------------------------------------------------------------------
def test_objects_and_strings_are_rows_and_a_broken_line_is_a_problem_in_place(tmp_path: Path) -> None:
    lines = ['{"text": "a", "n": 1}', '"b"', "{broken", "", '{"n": {"x": null}}', "[1]"]
    header, rows = _rows(_file(tmp_path, "a.jsonl", "\n".join(lines)), "jsonl")
    assert header == ["text", "n"]
    assert [row if isinstance(row, list) else row.code for row in rows] == [
        ["a", "1"],
        ["b", ""],
        "line_invalid",
        ["", '{"x": null}'],
        "line_invalid",
    ]


def test_a_deeply_nested_line_is_a_problem_in_place(tmp_path: Path) -> None:
    path = _file(tmp_path, "a.jsonl", '{"text": "a"}\n' + '{"text":' * 100_000 + "\n")
    rows = _rows(path, "jsonl")[1]
    assert rows[0] == ["a"]
    assert isinstance(rows[1], RowProblem)


# -- XLSX ------------------------------------------------------------------------------------------------------------
def _workbook(path: Path, rows: list[list[Any]]) -> Path:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for row in rows:
        sheet.append(row)
    book.save(path)
    return path


def test_a_workbook_is_read_with_its_types(tmp_path: Path) -> None:
    at = datetime(2026, 3, 4, 5, 6, 7)
    path = _workbook(
        tmp_path / "a.xlsx", [["id", "text", "at", "ok"], [1, "你好 <b>", at, True], [], [2.5, "x", None, False]]
    )
    header, rows = _rows(path, "xlsx")
    assert header == ["id", "text", "at", "ok"]
    assert rows == [["1", "你好 <b>", "2026-03-04T05:06:07", "TRUE"], ["2.5", "x", "", "FALSE"]]


def test_a_workbook_that_openpyxl_reads_the_same_way(tmp_path: Path) -> None:
    path = _workbook(tmp_path / "a.xlsx", [["text"], *[[f"row {number} é"] for number in range(3000)]])
    sheet = openpyxl.load_workbook(path, read_only=True).active
    assert sheet is not None
    theirs = [list(row) for row in sheet.iter_rows(min_row=2, values_only=True)]
    assert _rows(path, "xlsx")[1] == theirs


@pytest.mark.parametrize("content", [b"PK\x03\x04 no zip", b""], ids=["torn", "empty"])
def test_a_broken_workbook_is_an_error(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(TableError) as error:
        _rows(_file(tmp_path, "a.xlsx", content), "xlsx")
    assert error.value.code == "malformed"


def test_another_zip_is_no_workbook(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("hello.txt", "x")
    with pytest.raises(TableError) as error:
        _rows(path, "xlsx")
    assert error.value.code == "unsupported_type"


def _replaced(path: Path, part: str, content: bytes) -> Path:
    """The workbook with one part replaced."""
    target = path.with_name("replaced.xlsx")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            if entry.filename != part:
                new.writestr(entry, old.read(entry))
        new.writestr(part, content)
    return target


def test_entities_of_a_workbook_are_not_expanded(tmp_path: Path) -> None:
    path = _workbook(tmp_path / "a.xlsx", [["text"], ["x"]])
    laughs = b'<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    sheet = (
        b'<?xml version="1.0"?>'
        + laughs
        + b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
        b'<sheetData><row><c t="inlineStr"><is><t>text</t></is></c></row>'
        b'<row><c t="inlineStr"><is><t>&b;!</t></is></c></row></sheetData></worksheet>'
    )
    assert "haha" not in str(_rows(_replaced(path, "xl/worksheets/sheet1.xml", sheet), "xlsx"))


def test_a_workbook_of_empty_cells_takes_no_memory(tmp_path: Path) -> None:
    path = _workbook(tmp_path / "a.xlsx", [["text"], ["x"]])
    sheet = (
        b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
        b'<row><c t="inlineStr"><is><t>text</t></is></c></row><row>'
        + b"<c/>" * 2_000_000
        + b"</row></sheetData></worksheet>"
    )
    bomb = _replaced(path, "xl/worksheets/sheet1.xml", sheet)
    del sheet
    tracemalloc.start()
    assert _rows(bomb, "xlsx")[1] == []
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5_000_000


# -- what is it ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "head", "expected"),
    [
        ("a.csv", b"x", "csv"),
        ("a.tsv", b"x", "csv"),
        ("a.txt", b"x", "csv"),
        ("a.jsonl", b"{}", "jsonl"),
        ("a.ndjson", b"{}", "jsonl"),
        ("items", b' {"text": 1}', "jsonl"),
        ("a.csv", b"PK\x03\x04", "xlsx"),
    ],
)
def test_the_format_is_found(name: str, head: bytes, expected: str) -> None:
    assert format_of(name, head) == expected


@pytest.mark.parametrize(
    ("name", "head", "code"),
    [
        ("a.xlsx", b"\xd0\xcf\x11\xe0", "encrypted"),
        ("a.xls", b"\xd0\xcf\x11\xe0", "unsupported_type"),
        ("a.pdf", b"%PDF", "unsupported_type"),
    ],
)
def test_what_is_no_table_is_refused(name: str, head: bytes, code: str) -> None:
    with pytest.raises(TableError) as error:
        format_of(name, head)
    assert error.value.code == code


def test_a_preview_shows_the_beginning_and_guesses_the_columns(tmp_path: Path) -> None:
    lines = "\n".join(f'{n},2026-01-{n:02},shop,"{"long " * 100}"' for n in range(1, 29))
    preview = table_preview(_file(tmp_path, "a.csv", "id,date,channel,words\n" + lines), "csv")
    assert preview.guess == {"text": "words", "time": "date", "source": "channel", "reference": "id"}
    assert len(preview.rows) == 20
    assert {len(row[3]) for row in preview.rows} == {300}


def test_a_column_called_time_that_holds_none_is_not_guessed(tmp_path: Path) -> None:
    assert table_preview(_file(tmp_path, "a.csv", "time,text\nsoon,x\n"), "csv").guess == {"text": "text"}


@pytest.mark.parametrize(
    "raw",
    [
        "2026-01-02T03:04:00Z",
        "2026-01-02 03:04",
        "2026/01/02 03:04",
        "02.01.2026 03:04",
        "1767323040",
        "1767323040000",
        "Fri, 02 Jan 2026 04:04:00 +0100",
    ],
)
def test_times_are_understood(raw: str) -> None:
    assert time_parse(raw) == datetime(2026, 1, 2, 3, 4, tzinfo=UTC)


@pytest.mark.parametrize("raw", ["", "soon", "03/04/2026", "99999-01-01", "0001-01-01T00:00:00+14:00", "x" * 100])
def test_what_is_no_time_is_none(raw: str) -> None:
    assert time_parse(raw) is None


# -- writing ---------------------------------------------------------------------------------------------------------
ODD = [
    "=1+1",
    "+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(A1)",
    "\t=1",
    "plain",
    "-5",
    "+3.5",
    "a\nb",
    'q"q',
    "é🙂",
    "\x00\x1b",
    "",
]


def _written(kind: Format, rows: list[dict[str, Any]], columns: list[str]) -> bytes:
    writer = WRITERS[kind](columns)
    return writer.begin() + b"".join(writer.rows([row]) for row in rows) + writer.end()


@pytest.mark.parametrize(
    ("raw", "safe"),
    [
        ("=1+1", "'=1+1"),
        ("@x", "'@x"),
        ("-2+3", "'-2+3"),
        ("+x", "'+x"),
        ("\t=1", "'\t=1"),
        ("-5", "-5"),
        ("+3,5", "+3,5"),
        ("x=1", "x=1"),
        ("", ""),
        (None, ""),
        (0.5, "0.5"),
        ("＝1", "'＝1"),
    ],
)
def test_formulas_become_text(raw: object, safe: str) -> None:
    assert cell_safe(raw) == safe


def test_csv_comes_back_as_it_was_but_for_formulas() -> None:
    rows = [{"n": n, "text": text} for n, text in enumerate(ODD)]
    content = _written("csv", rows, ["n", "text"]).decode()
    back = list(csv.DictReader(io.StringIO(content, newline="")))
    assert [row["text"] for row in back] == [cell_safe(text) for text in ODD]


def test_jsonl_comes_back_as_it_was() -> None:
    rows = [{"n": n, "text": text, "result": {"x": [1]}} for n, text in enumerate(ODD)]
    lines = _written("jsonl", rows, ["n", "text"]).decode().split("\n")
    assert [json.loads(line) for line in lines if line] == rows


def test_a_workbook_opens_in_openpyxl_and_holds_no_formula(tmp_path: Path) -> None:
    rows = [{"n": n, "text": text} for n, text in enumerate(ODD)]
    path = _file(tmp_path, "out.xlsx", _written("xlsx", rows, ["n", "text"]))
    sheet = openpyxl.load_workbook(path).active
    assert sheet is not None
    cells = list(sheet.iter_rows(min_row=2))
    assert {cell.data_type for row in cells for cell in row} <= {"n", "s"}
    assert [row[1].value for row in cells][:4] == ["'=1+1", "'+cmd|' /C calc'!A0", "'-2+3", "'@SUM(A1)"]
    assert [row[0].value for row in cells] == list(range(len(ODD)))


def test_a_workbook_is_written_piece_by_piece(tmp_path: Path) -> None:
    writer = WRITERS["xlsx"](["text"])
    texts = [{"text": random.Random(n).randbytes(100).hex()} for n in range(10_000)]
    pieces = [writer.begin(), *[writer.rows(texts[at : at + 500]) for at in range(0, 10_000, 500)], writer.end()]
    assert sum(len(piece) > 10_000 for piece in pieces[1:-1]) >= 10
    header, rows = _rows(_file(tmp_path, "a.xlsx", b"".join(pieces)), "xlsx")
    assert (header, rows) == (["text"], [[row["text"]] for row in texts])
