"""Files made by tests: documents of each format, and files that mean harm."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping

W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
CONTENT_TYPES = (
    '<?xml version="1.0" encoding="UTF-8"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-officedocument.'
    'wordprocessingml.document.main+xml"/></Types>'
)
STYLES = (
    f'<w:styles {W}><w:style w:styleId="Titel"><w:name w:val="Title"/></w:style>'
    '<w:style w:styleId="berschrift1"><w:name w:val="heading 1"/></w:style>'
    '<w:style w:styleId="berschrift2"><w:name w:val="heading 2"/></w:style></w:styles>'
)


def paragraph(text: str, style: str = "", *, run: str = "", inside: str = "") -> str:
    """Return a w:p; `run` is put into the run's properties, `inside` before the run."""
    properties = f'<w:pPr><w:pStyle w:val="{style}"/></w:pPr>' if style else ""
    return f"<w:p>{properties}{inside}<w:r><w:rPr>{run}</w:rPr><w:t>{text}</w:t></w:r></w:p>"


def docx(body: str, *, parts: Mapping[str, bytes] | None = None, prolog: str = "") -> bytes:
    """Return a DOCX with `body` inside w:body; `parts` replaces or adds entries."""
    document = f"{prolog}<w:document {W}><w:body>{body}</w:body></w:document>"
    entries = {
        "[Content_Types].xml": CONTENT_TYPES.encode(),
        "word/document.xml": document.encode(),
        "word/styles.xml": STYLES.encode(),
        **(parts or {}),
    }
    return archive(entries)


def archive(entries: Mapping[str, bytes]) -> bytes:
    """Return a zip of the entries, deflated."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in entries.items():
            packed.writestr(name, data)
    return target.getvalue()


def overlapping_archive() -> bytes:
    """Return a DOCX whose directory names one compressed block forty times."""
    entries = {"[Content_Types].xml": CONTENT_TYPES.encode(), "word/document.xml": b"<a/>", "kernel": b"\0" * 900_000}
    data = bytearray(archive(entries))
    end = data.rfind(b"PK\5\6")
    count, size, start = struct.unpack("<HLL", data[end + 10 : end + 20])
    directory = bytes(data[start : start + size])
    kernel = directory[directory.index(b"kernel") - 46 :]
    more = b"".join(kernel.replace(b"kernel", b"k%05d" % number) for number in range(40))
    tail = bytearray(data[end:])
    tail[8:20] = struct.pack("<HHLL", count + 40, count + 40, size + len(more), start)
    return bytes(data[: start + size]) + more + bytes(tail)


def pdf(
    pages: list[str], *, stream: bytes | None = None, trailer: str = "", filters: str = "", outline: str = ""
) -> bytes:
    """Return a PDF with one line of text after another on each page; `stream` replaces the content of the first."""
    objects: list[bytes] = []
    kids = " ".join(f"{4 + 2 * index} 0 R" for index in range(len(pages)))
    objects.append(b"<< /Type /Catalog /Pages 2 0 R >>")
    objects.append(f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode())
    objects.append(b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>")
    for index, text in enumerate(pages):
        lines = "".join(f"({line}) Tj T* " for line in text.split("\n"))
        content = f"BT /F1 12 Tf 14 TL 50 750 Td {lines}ET".encode()
        name = ""
        if stream is not None and index == 0:
            content, name = stream, filters
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources << /Font << /F1 3 0 R >> >> "
            f"/Contents {5 + 2 * index} 0 R >>".encode()
        )
        objects.append(f"<< /Length {len(content)} {name} >>\nstream\n".encode() + content + b"\nendstream")
    return assemble(objects, trailer)


def assemble(objects: list[bytes], trailer: str = "") -> bytes:
    """Return a PDF file of numbered objects, the first being the catalogue."""
    out = bytearray(b"%PDF-1.5\n")
    offsets = []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(out))
        out += b"%d 0 obj\n" % number + body + b"\nendobj\n"
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    out += f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R {trailer} >>\nstartxref\n{start}\n%%EOF".encode()
    return bytes(out)


def zeros(size: int, *, times: int = 1) -> bytes:
    """Return `size` zero bytes, deflated `times` times."""
    packer = zlib.compressobj(9)
    data = b"".join(packer.compress(b"\0" * 1_000_000) for _ in range(size // 1_000_000)) + packer.flush()
    for _ in range(times - 1):
        data = zlib.compress(data, 9)
    return data
