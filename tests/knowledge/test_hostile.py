"""Files that mean harm end quickly, small and alone (limits of reliability: 5 s, 256 MB, no disk, no network)."""

from __future__ import annotations

import gzip
import os
import resource
import subprocess
import sys
import textwrap
import time
import zlib
from contextlib import ExitStack
from pathlib import Path

import pytest
from django.conf import settings

from apps.core.box import process
from apps.documents.errors import ExtractError
from apps.knowledge.extract import box
from apps.knowledge.extract.box import BoxDocument, BoxFile, extract_boxed
from tests.boxes import boxes_running
from tests.knowledge.makers import archive, assemble, docx, overlapping_archive, paragraph, pdf, zeros

MB = 1_000_000
LOL = '<!DOCTYPE x [<!ENTITY a "lol">' + "".join(
    f'<!ENTITY {chr(98 + n)} "{("&" + chr(97 + n) + ";") * 10}">' for n in range(9)
) + "]>"  # fmt: skip
QUADRATIC = f'<!DOCTYPE x [<!ENTITY a "{"A" * 50_000}">]>'
EXTERNAL = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
REMOTE = '<!DOCTYPE x [<!ENTITY % a SYSTEM "http://127.0.0.1:1/a.dtd"> %a;]>'
HELLO = paragraph("&a;")


def nested(depth: int) -> bytes:
    data = b"text"
    for level in range(depth):
        data = archive({f"{level}.zip": data})
    return data


def object_stream(size: int) -> bytes:
    packed = zeros(size)
    body = b"<< /Type /ObjStm /N 1 /First 4 /Filter /FlateDecode /Length %d >>\nstream\n" % len(packed)
    stream = body + packed + b"\nendstream"
    return assemble([b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Kids [] /Count 0 >>", stream])


def crossed_pages() -> bytes:
    """A page tree that is its own child."""
    return assemble([b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Kids [2 0 R 2 0 R] /Count 1000000 >>"])


def wide_pages() -> bytes:
    kids = b" ".join(b"3 0 R" for _ in range(30_000))
    return assemble(
        [
            b"<< /Type /Catalog /Pages 2 0 R >>",
            b"<< /Type /Pages /Kids [" + kids + b"] /Count 30000 >>",
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] >>",
        ]
    )


REFUSED = {"bomb_refused", "too_large", "extract_failed", "unsupported_type", "encrypted"}
FILES: dict[str, tuple[str, bytes]] = {
    "docx_zeros_in_document": ("a.docx", docx("", parts={"word/document.xml": b"\0" * 60 * MB})),
    "docx_spaces_in_document": ("a.docx", docx("", parts={"word/document.xml": b" " * 60 * MB})),
    "docx_ratio": ("a.docx", docx(paragraph("x"), parts={"word/media/a.bmp": b"\0" * 50 * MB})),
    "docx_total_declared": ("a.docx", docx("x", parts={f"m{n}": b"ab" * 2_500_000 for n in range(90)})),
    "docx_many_entries": ("a.docx", docx("x", parts={f"e{n}": b"" for n in range(5000)})),
    "docx_overlapping": ("a.docx", overlapping_archive()),
    "docx_billion_laughs": ("a.docx", docx(paragraph("&j;"), prolog=LOL)),
    "docx_quadratic": ("a.docx", docx(paragraph("&a;" * 20_000), prolog=QUADRATIC)),
    "docx_external_entity": ("a.docx", docx(HELLO, prolog=EXTERNAL)),
    "docx_remote_dtd": ("a.docx", docx(HELLO, prolog=REMOTE)),
    "docx_laughs_in_styles": ("a.docx", docx("", parts={"word/styles.xml": (LOL + "<a>&j;</a>").encode()})),
    "docx_laughs_in_types": ("a.docx", docx("", parts={"[Content_Types].xml": (LOL + "<a>&j;</a>").encode()})),
    "docx_utf16_entities": ("a.docx", docx("", parts={"word/document.xml": (EXTERNAL + "<a/>").encode("utf-16")})),
    "docx_deep": ("a.docx", docx("<w:p>" * 100_000 + "</w:p>" * 100_000)),
    "docx_many_attributes": ("a.docx", docx("<w:p " + " ".join(f"a{n}='1'" for n in range(1 * MB)) + "/>")),
    "docx_truncated": ("a.docx", docx(paragraph("x"))[:-200]),
    "docx_not_xml": ("a.docx", docx("", parts={"word/document.xml": b"\xff\xfe\xfd" * 1000})),
    "xlsx": ("a.xlsx", archive({"[Content_Types].xml": b"<Types/>", "xl/workbook.xml": b"<a/>"})),
    "odt": ("a.odt", archive({"mimetype": b"application/vnd.oasis.opendocument.text", "content.xml": b" " * 30 * MB})),
    "zip_of_zeros": ("a.zip", archive({"a": b"\0" * 100 * MB})),
    "zip_nested": ("a.docx", nested(10)),
    "gzip_thousandfold": ("a.html", gzip.compress(b"\0" * 100 * MB)),
    "svg": ("a.svg", b"<svg xmlns='http://www.w3.org/2000/svg'>" + b"<g>" * 10_000 + b"</svg>"),
    "xml_laughs": ("a.html", (LOL + "<x>&j;</x>").encode()),
    "png_flood": ("a.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + b"\xff\xff\xff\xff" * 2 + zeros(50 * MB)),
    "pdf_flate_bomb": ("a.pdf", pdf(["x"], stream=zeros(400 * MB), filters="/Filter /FlateDecode")),
    "pdf_flate_twice": ("a.pdf", pdf(["x"], stream=zeros(400 * MB, times=2), filters=f"/Filter [{'/FlateDecode ' * 2}]")),
    "pdf_run_length": ("a.pdf", pdf(["x"], stream=b"\x81\0" * 2 * MB + b"\x80", filters="/Filter /RunLengthDecode")),
    "pdf_object_stream": ("a.pdf", object_stream(400 * MB)),
    "pdf_pages_of_pages": ("a.pdf", crossed_pages()),
    "pdf_wide_tree": ("a.pdf", wide_pages()),
    "pdf_truncated": ("a.pdf", b"%PDF-1.7\n" + b"1 0 obj << /Type /Catalog " * 1000),
    "pdf_deep_arrays": ("a.pdf", assemble([b"<< /Type /Catalog /Pages " + b"[" * 100_000 + b"]" * 100_000 + b" >>"])),
    "pdf_no_end": ("a.pdf", b"%PDF-1.4\n" + b"\xff" * 5 * MB),
    "pdf_encrypted": ("a.pdf", pdf(["secret"], trailer=(
        "/ID [<00112233445566778899aabbccddeeff> <00112233445566778899aabbccddeeff>] /Encrypt << /Filter /Standard "
        f"/V 1 /R 2 /P -4 /O <{'41' * 32}> /U <{'42' * 32}> >>"))),
}  # fmt: skip


def read(tmp_path: Path, name: str, data: bytes) -> tuple[BoxDocument | ExtractError, float]:
    path = tmp_path / "input"
    path.write_bytes(data)
    started = time.monotonic()
    (result,) = extract_boxed([BoxFile(str(path), name)])
    return result, time.monotonic() - started


def peak_of(path: Path, name: str) -> int:
    """Run the boxed process and return the largest resident size it reached, in bytes."""
    command = [
        sys.executable,
        "-m",
        "apps.knowledge.extract",
        str(box.MEMORY_BYTES),
        "30",
        "-",
        str(path),
        name,
        "",
        "",
    ]
    code = (
        "import resource,subprocess,sys;subprocess.run(sys.argv[1:],stdout=-3);print(resource.getrusage(-1).ru_maxrss)"
    )
    done = subprocess.run([sys.executable, "-c", code, *command], capture_output=True, text=True, cwd=process.ROOT)
    return int(done.stdout.split()[-1]) * 1024


def test_there_are_thirty_hostile_files() -> None:
    assert len(FILES) >= 30


@pytest.mark.parametrize("which", FILES)
def test_hostile_file_is_refused_within_five_seconds(tmp_path: Path, which: str) -> None:
    name, data = FILES[which]
    result, took_s = read(tmp_path, name, data)
    assert isinstance(result, ExtractError)
    assert result.code in REFUSED
    assert took_s < 5


@pytest.mark.parametrize("which", FILES)
def test_hostile_file_stays_under_256_megabytes(tmp_path: Path, which: str) -> None:
    name, data = FILES[which]
    path = tmp_path / "input"
    path.write_bytes(data)
    assert peak_of(path, name) < 256 * 1024 * 1024


def test_encrypted_file_is_called_so(tmp_path: Path) -> None:
    result, _ = read(tmp_path, *FILES["pdf_encrypted"])
    assert isinstance(result, ExtractError)
    assert result.code == "encrypted"


def test_good_file_after_a_bad_one_is_read(tmp_path: Path) -> None:
    bad, good = tmp_path / "bad", tmp_path / "good"
    bad.write_bytes(FILES["pdf_flate_bomb"][1])
    good.write_bytes(b"# Title\n\nText.")
    files = [BoxFile(str(bad), "bad.pdf"), BoxFile(str(good), "good.md"), BoxFile(str(tmp_path / "gone"), "gone.md")]
    first, second, third = extract_boxed(files)
    assert isinstance(first, ExtractError)
    assert isinstance(second, BoxDocument)
    assert isinstance(third, ExtractError)
    assert second.chunks[0].text == "Text."


def hostile_parser(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, body: str) -> None:
    """Put a module in the way of the Markdown reader: a parser that was taken over."""
    (tmp_path / "evil.py").write_text(textwrap.dedent(body))
    starter = (
        # As `python -m` begins it: with the project's own folder, not "" for it.
        "import os, sys; sys.path[0] = os.getcwd(); sys.path.append(sys.argv.pop(1)); import evil;"
        "import apps.knowledge.extract.plain as p;"
        "p.extract_plain = evil.attack; from apps.knowledge.extract.__main__ import main; sys.exit(main(sys.argv[1:]))"
    )
    real = subprocess.Popen

    def start(command: list[str], **options: object) -> subprocess.Popen[bytes]:
        return real([sys.executable, "-c", starter, str(tmp_path), *command[3:]], **options)  # type: ignore[call-overload]

    monkeypatch.setattr(process.subprocess, "Popen", start)


ATTACKS = {
    "hang": ("while True: pass", "extract_timeout"),
    "sleep": ("import time; time.sleep(60)", "extract_timeout"),
    "memory": ("x = bytearray(10 ** 10)", "bomb_refused"),
    "abort": ("import os; os.abort()", "bomb_refused"),
    "passwords": ("open('/etc/passwd').read()", "extract_failed"),
    "secrets": ("open('{beside}').read()", "extract_failed"),
    "truncate": ("import os; os.truncate('{tmp}/b.txt', 0)", "extract_failed"),
    "mode": ("import os; os.chmod('{tmp}/b.txt', 0)", "extract_failed"),
    "library": ("import ctypes; ctypes.CDLL(None)", "extract_failed"),
    "write": ("open('{tmp}/written', 'w').write('x')", "extract_failed"),
    "socket": ("import _socket; _socket.socket().connect(('127.0.0.1', 1))", "extract_failed"),
    "resolve": ("import socket; socket.getaddrinfo('example.com', 80)", "extract_failed"),
    "command": ("import subprocess; subprocess.run(['true'])", "extract_failed"),
    "shell": ("import os; os.system('true')", "extract_failed"),
    "fork": ("import os; os.fork()", "extract_failed"),
}


@pytest.mark.parametrize("which", ATTACKS)
def test_parser_that_was_taken_over_stays_in_the_box(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, which: str
) -> None:
    """DATA_DIR, with everybody's files and the secrets, is by default beside the code, which may be read."""
    attack, code = ATTACKS[which]
    attack = attack.format(tmp=tmp_path, beside=settings.BASE_DIR / "manage.py")
    body = f"def attack(text, name=''):\n    {attack}\n    raise SystemExit(0)\n"
    hostile_parser(monkeypatch, tmp_path, body)
    path, other = tmp_path / "a.txt", tmp_path / "b.txt"
    path.write_bytes(b"words")
    other.write_bytes(b"words of others")
    (result,) = extract_boxed([BoxFile(str(path), "a.txt")], timeout_s=3)
    assert isinstance(result, ExtractError)
    assert result.code == code
    assert not (tmp_path / "written").exists()
    assert other.read_bytes() == b"words of others"
    assert other.stat().st_mode & 0o400


def test_a_box_is_heard_where_many_descriptors_are_open(tmp_path: Path) -> None:
    """The web process has a descriptor for each tab of each visitor; `select` ends at 1,023."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    with ExitStack() as stack:
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        for _ in range(1100):
            stack.enter_context(open(os.devnull, "rb"))
        result, _ = read(tmp_path, "a.md", b"# A\n\nb")
    assert isinstance(result, BoxDocument)


def test_boxed_process_gets_no_secret_of_ours(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SECRET_KEY", "canary-secret")
    body = """
        import os
        from apps.knowledge.extract.types import Block, Extracted
        def attack(text, name=""):
            return Extracted(title="t", blocks=(Block("text", repr(dict(os.environ))),))
    """
    hostile_parser(monkeypatch, tmp_path, body)
    path = tmp_path / "a.txt"
    path.write_bytes(b"words")
    (result,) = extract_boxed([BoxFile(str(path), "a.txt")])
    assert isinstance(result, BoxDocument)
    assert "canary" not in result.chunks[0].text


def test_no_process_is_left_behind(tmp_path: Path) -> None:
    read(tmp_path, "a.md", b"# A\n\nb")
    assert boxes_running() == set()


@pytest.mark.parametrize("box", ["apps.knowledge.extract", "apps.batches.tables", "apps.translation.markup"])
def test_a_box_loads_nothing_that_takes_long(box: str) -> None:
    """A box starts for each file: with Django or a model library that would take seconds."""
    code = (
        f"import sys; import {box}.__main__; "
        "print(sorted({'django', 'numpy', 'spacy', 'torch', 'transformers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == "[]"


def test_valid_zlib_stream_of_fair_size_is_read(tmp_path: Path) -> None:
    content = zlib.compress(b"BT /F1 12 Tf 50 750 Td (A fair page of text.) Tj ET")
    result, _ = read(tmp_path, "a.pdf", pdf(["x"], stream=content, filters="/Filter /FlateDecode"))
    assert isinstance(result, BoxDocument)
    assert result.chunks[0].text == "A fair page of text."
