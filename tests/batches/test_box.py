"""Tables that mean harm end quickly, small and alone: the box that reads them."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from apps.batches.tables import box
from apps.batches.tables.box import BoxBusy, table_preview_boxed, table_rows_boxed
from apps.batches.tables.read import table_preview
from apps.batches.tables.survey import Survey
from apps.batches.tables.types import Format, TableError
from apps.core.box import process
from tests.batches.test_tables import _replaced, _workbook
from tests.boxes import boxes_running

MB = 1024 * 1024
SHEET = b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'


def rows(path: Path, kind: Format, *, column: str = "text") -> tuple[list[list[str]], Survey]:
    out = io.BytesIO()
    survey = table_rows_boxed(
        path,
        kind,
        encoding="",
        header=True,
        chosen={"text": column},
        seed=1,
        max_chars=200_000,
        out=out,
        report=lambda count: None,
    )
    return [json.loads(line) for line in out.getvalue().splitlines()], survey


def _part_of(path: Path, name: str, unit: bytes, megabytes: int, head: bytes = b"") -> Path:
    """A workbook whose part inflates to so much."""
    whole = _workbook(path / "small.xlsx", [["text"], ["x"]])
    target = path / "file.xlsx"
    block = unit * (MB // len(unit))
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as new:
        for entry in old.infolist():
            if entry.filename != name:
                new.writestr(entry, old.read(entry))
        with new.open(name, "w", force_zip64=True) as part:
            part.write(head)
            for _ in range(megabytes):
                part.write(block)
    return target


def _wide(path: Path) -> Path:
    target = path / "file.csv"
    target.write_bytes(b"," * 7_900_000 + b"\nx\n")
    return target


def _open_quote(path: Path) -> Path:
    target = path / "file.csv"
    with target.open("wb") as file:
        file.write(b'text\n"')
        for _ in range(20):
            file.write(b"word word\n" * (MB // 10))
    return target


def _deep(path: Path) -> Path:
    target = path / "file.jsonl"
    target.write_bytes(b'{"text": "a"}\n' + b'{"text":' * 900_000 + b"\n" + b"[" * 7_000_000 + b'\n{"text": "z"}\n')
    return target


def _many_entries(path: Path) -> Path:
    whole = _workbook(path / "small.xlsx", [["text"], ["x"]])
    target = path / "file.xlsx"
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(target, "w") as new:
        for entry in old.infolist():
            new.writestr(entry, old.read(entry))
        for number in range(20_000):
            new.writestr(f"e{number}", b"")
    return target


BOMBS: dict[str, tuple[Callable[[Path], Path], Format]] = {
    "a part larger than any": (lambda path: _part_of(path, "xl/worksheets/sheet1.xml", b" ", 1100, SHEET), "xlsx"),
    "a small part that is large": (lambda path: _part_of(path, "xl/styles.xml", b"<a/>", 40), "xlsx"),
    "one text without end": (
        lambda path: _part_of(
            path, "xl/worksheets/sheet1.xml", b"word ", 900, SHEET + b'<row><c t="inlineStr"><is><t>'
        ),
        "xlsx",
    ),
    "attributes without end": (
        lambda path: _part_of(path, "xl/worksheets/sheet1.xml", b"a", 900, SHEET + b'<row r="'),
        "xlsx",
    ),
    "many entries": (_many_entries, "xlsx"),
    "ten million columns": (_wide, "csv"),
    "a quotation mark without end": (_open_quote, "csv"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_and_not_held(name: str, tmp_path: Path) -> None:
    make, kind = BOMBS[name]
    path = make(tmp_path)
    watch = _Peak()
    with watch, pytest.raises(TableError) as caught:
        rows(path, kind)
    assert caught.value.code in {"bomb_refused", "malformed", "too_many_columns", "line_too_long"}
    assert watch.peak_bytes < box.MEMORY_BYTES


class _Peak:
    """The most memory that a boxed child of this process had."""

    def __init__(self) -> None:
        self.peak_bytes = 0

    def __enter__(self) -> None:
        self._real = process.os.read

        def read(descriptor: int, count: int) -> bytes:
            self._look()
            return self._real(descriptor, count)

        process.os.read = read

    def __exit__(self, *_: object) -> None:
        process.os.read = self._real

    def _look(self) -> None:
        for child in psutil.Process().children():
            try:
                self.peak_bytes = max(self.peak_bytes, child.memory_info().rss)
            except psutil.NoSuchProcess:
                continue


def test_lines_of_deep_json_are_problems_in_place(tmp_path: Path) -> None:
    found, survey = rows(_deep(tmp_path), "jsonl")
    assert [row[3:5] for row in found] == [["a", ""], ["", "line_invalid"], ["", "line_invalid"], ["z", ""]]
    assert survey.total == 4


def test_the_box_reads_what_is_read_outside(tmp_path: Path) -> None:
    path = _workbook(tmp_path / "a.xlsx", [["text", "when"], ["good morning", "2026-01-02"], ["good night", ""]])
    assert table_preview_boxed(path, "xlsx") == table_preview(path, "xlsx")
    found, survey = rows(path, "xlsx")
    assert [row[3] for row in found] == ["good morning", "good night"]
    assert (survey.total, survey.sample) == (2, ["good morning", "good night"])


def hostile(monkeypatch: pytest.MonkeyPatch, attack: str) -> None:
    """A parser that was taken over."""
    starter = (
        f"import sys\ndef attack(path, **_):\n    {attack}\n    raise SystemExit(0)\n"
        "import apps.batches.tables.read as r; r.csv_open = attack\n"
        "from apps.batches.tables.__main__ import main; sys.exit(main(sys.argv[1:]))"
    )
    real = subprocess.Popen

    def start(command: list[str], **options: object) -> subprocess.Popen[bytes]:
        return real([sys.executable, "-c", starter, *command[3:]], **options)  # type: ignore[call-overload]

    monkeypatch.setattr(process.subprocess, "Popen", start)


@pytest.mark.parametrize(
    ("attack", "code"),
    [
        ("while True: pass", "extract_timeout"),
        ("import time; time.sleep(600)", "extract_timeout"),
        ("x = bytearray(10**10)", "bomb_refused"),
        ("import os; os.abort()", "bomb_refused"),
        ("open('/etc/passwd').read()", "malformed"),
        ("__import__('socket').socket()", "malformed"),
        ("__import__('os').system('true')", "malformed"),
    ],
)
def test_a_parser_that_is_taken_over_stays_in_the_box(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, attack: str, code: str
) -> None:
    hostile(monkeypatch, attack)
    monkeypatch.setattr(box, "SILENCE_S", 3.0)
    path = tmp_path / "a.csv"
    path.write_text("text\nx\n")
    with pytest.raises(TableError) as caught:
        rows(path, "csv")
    assert caught.value.code == code


def test_a_parser_that_hangs_is_killed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    hostile(monkeypatch, "import time; time.sleep(600)")
    monkeypatch.setattr(box, "PREVIEW_S", 1.0)
    (tmp_path / "a.csv").write_text("text\n")
    with pytest.raises(TableError) as caught:
        table_preview_boxed(tmp_path / "a.csv", "csv")
    assert caught.value.code == "extract_timeout"
    assert boxes_running() == set()


def test_no_more_files_are_looked_at_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(box, "_WAIT_S", 0.01)
    (tmp_path / "a.csv").write_text("text\nx\n")
    with box._AT_ONCE, box._AT_ONCE, pytest.raises(BoxBusy):
        table_preview_boxed(tmp_path / "a.csv", "csv")
    assert table_preview_boxed(tmp_path / "a.csv", "csv").header == ["text"]


def test_who_stops_the_reading_ends_the_process(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text\n" + "some words\n" * 200_000)

    class Stop(Exception):
        pass

    def stop(count: int) -> None:
        raise Stop

    with pytest.raises(Stop):
        table_rows_boxed(
            path,
            "csv",
            encoding="",
            header=True,
            chosen={"text": "text"},
            seed=1,
            max_chars=100,
            out=io.BytesIO(),
            report=stop,
        )
    assert boxes_running() == set()


def test_entities_of_a_workbook_are_not_expanded_in_the_box(tmp_path: Path) -> None:
    path = _workbook(tmp_path / "a.xlsx", [["text"], ["x"]])
    sheet = (
        b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY b SYSTEM "file:///etc/passwd">]>'
        + SHEET
        + b'<row><c t="inlineStr"><is><t>text</t></is></c></row><row><c t="inlineStr"><is><t>&b;!</t></is></c></row>'
        b"</sheetData></worksheet>"
    )
    assert "root:" not in str(rows(_replaced(path, "xl/worksheets/sheet1.xml", sheet), "xlsx"))
