"""DOCX: the runs of a paragraph are read as one text in which formatting is a mark; all other parts stay as they are.

The limits on what an archive may inflate to are those that knowledge reads files with, with smaller numbers.
"""

from __future__ import annotations

import copy
import io
import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from lxml import etree

from apps.documents.docx import check_archive, read_part
from apps.documents.errors import ExtractError
from apps.translation.markup.documents.types import MAX_TEXT_CHARS, DocumentRefused, too_long
from apps.translation.markup.layout import MAX_SEGMENTS
from apps.translation.markup.marks import Mark, Part, Parts, joined, said

# Of all parts together and of one with text: half a book. Its tree takes about twenty times as much.
MAX_TOTAL_BYTES = 64 * 1024 * 1024
MAX_PART_BYTES = 8 * 1024 * 1024
# Of one text. More looks than a sentence has words are no formatting.
MAX_RUNS = 200
_PARTS = re.compile(r"word/(?:document|header\d*|footer\d*|footnotes|endnotes|comments)\.xml")
_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_SPACE = "{http://www.w3.org/XML/1998/namespace}space"
_IGNORED = {f"{_W}rsidR", f"{_W}rsidRPr", f"{_W}rsidDel"}
# Properties that nobody sees: two runs that differ in these alone look the same.
_UNSEEN = {f"{_W}lang", f"{_W}noProof"}
_ERRORS = (zipfile.BadZipFile, zlib.error, etree.XMLSyntaxError, EOFError, NotImplementedError, KeyError, ValueError)


@dataclass(frozen=True, slots=True)
class _Run:
    """A run that holds one text, and the hyperlink around it, if any."""

    element: Any
    link: Any
    text: str
    look: tuple[bytes, int]


class DocxDocument:
    """A document of Word: body, headers, footers, notes and comments."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._trees: dict[str, Any] = {}
        self._groups: list[list[list[_Run]]] = []
        self.segments: list[Parts] = []
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                check_archive(archive)
                self._read(archive)
        except ExtractError as error:
            raise DocumentRefused(error.code, error.message) from error
        except _ERRORS as error:
            raise DocumentRefused("extract_failed", "The DOCX file could not be read.") from error

    def _read(self, archive: zipfile.ZipFile) -> None:
        if sum(entry.file_size for entry in archive.infolist()) > MAX_TOTAL_BYTES:
            raise DocumentRefused("too_large", "The document inflates to more than 64 MiB.")
        parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
        for name in sorted(filter(_PARTS.fullmatch, archive.namelist())):
            if archive.getinfo(name).file_size > MAX_PART_BYTES:
                raise DocumentRefused("too_large", "A part of the document has more than 8 MiB of text.")
            with read_part(archive, name) as stream:
                tree = etree.parse(stream, parser)
            self._trees[name] = tree
            for paragraph in list(tree.iter(f"{_W}p")):
                for runs in _texts(paragraph):
                    self._add(runs)
        if sum(len(run.text) for groups in self._groups for group in groups for run in group) > MAX_TEXT_CHARS:
            raise too_long()

    def _add(self, runs: Sequence[_Run]) -> None:
        """Add what stands together as one text; the look that most of it has is no mark."""
        groups: list[list[_Run]] = []
        for run in runs:
            if groups and groups[-1][0].look == run.look:
                groups[-1].append(run)
            else:
                groups.append([run])
        sizes: dict[tuple[bytes, int], int] = {}
        for run in runs:
            sizes[run.look] = sizes.get(run.look, 0) + len(run.text) + (0 if run.link is not None else 1)
        common = max(sizes, key=lambda look: sizes[look])
        parts: list[Part] = []
        for number, group in enumerate(groups, 1):
            text = "".join(run.text for run in group)
            plain = group[0].look == common
            parts += (text,) if plain else (Mark("", "open", number), text, Mark("", "close", number))
        if not said(parts):
            return
        if len(self.segments) >= MAX_SEGMENTS:
            raise too_long()
        self.segments.append(tuple(parts))
        self._groups.append(groups)

    def written(self, translated: Sequence[Parts], *, target: str) -> bytes:
        """Return the document."""
        for groups, segment, parts in zip(self._groups, self.segments, translated, strict=True):
            _replace(groups, segment, parts)
        out = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(self._data)) as source, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
            for entry in source.infolist():
                tree = self._trees.get(entry.filename)
                if tree is None:
                    data = source.read(entry)
                else:
                    data = etree.tostring(tree, xml_declaration=True, encoding="UTF-8", standalone=True)
                info = zipfile.ZipInfo(entry.filename, entry.date_time)
                info.compress_type, info.external_attr = zipfile.ZIP_DEFLATED, entry.external_attr
                made.writestr(info, data)
        return out.getvalue()


def _texts(paragraph: Any) -> Iterator[list[_Run]]:
    """Yield the runs of a paragraph that stand together: tabs, breaks, pictures and fields part them."""
    taken: list[_Run] = []
    for container in [paragraph, *_containers(paragraph)]:
        for child in list(container):
            if child.tag == f"{_W}hyperlink":
                runs = [part for run in child.findall(f"{_W}r") for part in _parted(run)]
                link = child
            elif child.tag == f"{_W}r":
                runs, link = _parted(child), None
            elif child.tag in (f"{_W}proofErr", f"{_W}bookmarkStart", f"{_W}bookmarkEnd", f"{_W}lastRenderedPageBreak"):
                continue
            else:
                runs, link = [child], None
            for run in runs:
                text = run.find(f"{_W}t") if run.tag == f"{_W}r" else None
                if text is None:
                    if taken:
                        yield taken
                    taken = []
                elif text.text:
                    if len(taken) >= MAX_RUNS:
                        yield taken
                        taken = []
                    taken.append(_Run(run, link, text.text, _look(run, link)))
        if taken:
            yield taken
        taken = []


def _containers(paragraph: Any) -> list[Any]:
    """Return what holds runs of this very paragraph besides itself: insertions, simple fields, controls."""
    names = [f"{_W}{name}" for name in ("ins", "fldSimple", "smartTag", "sdtContent", "moveTo")]
    return [one for one in paragraph.iter(*names) if next(one.iterancestors(f"{_W}p"), None) is paragraph]


def _parted(run: Any) -> list[Any]:
    """Cut a run into runs of one child each, in the tree as well, so that each text can be moved by itself."""
    children = [child for child in run if child.tag not in (f"{_W}rPr", f"{_W}lastRenderedPageBreak")]
    if len(children) <= 1 or not any(child.tag == f"{_W}t" for child in children):
        return [run]
    look = run.find(f"{_W}rPr")
    made = [run]
    for child in children[1:]:
        fresh = etree.Element(run.tag, run.attrib)
        if look is not None:
            fresh.append(copy.deepcopy(look))
        fresh.append(child)
        made[-1].addnext(fresh)
        made.append(fresh)
    return made


def _look(run: Any, link: Any) -> tuple[bytes, int]:
    """Return what tells how a run looks and where it leads."""
    properties = run.find(f"{_W}rPr")
    if properties is None:
        return b"", id(link) if link is not None else 0
    seen = sorted(etree.tostring(one) for one in properties if one.tag not in _UNSEEN)
    return b"".join(seen), id(link) if link is not None else 0


def _replace(groups: Sequence[Sequence[_Run]], segment: Parts, parts: Parts) -> None:
    """Write a translation in the place of its runs, each piece in the look that it had."""
    if len(groups) == 1:
        _write(groups[0][0].element, joined(parts))
        for run in groups[0][1:]:
            _write(run.element, "")
        return
    marked = {part.pair for part in segment if isinstance(part, Mark)}
    common = next((group for number, group in enumerate(groups, 1) if number not in marked), groups[0])
    fresh: list[Any] = []
    inside = common
    for part in parts:
        if isinstance(part, Mark) and not part.raw:
            inside = groups[part.pair - 1] if part.kind == "open" else common
        else:
            fresh.append(_made(inside[0], part if isinstance(part, str) else part.raw))
    first = groups[0][0]
    anchor = first.element if first.link is None else first.link
    for element in fresh:
        anchor.addprevious(element)
    for run in (run for group in groups for run in group):
        run.element.getparent().remove(run.element)
        if run.link is not None and run.link.find(f"{_W}r") is None and run.link.getparent() is not None:
            run.link.getparent().remove(run.link)


def _made(model: _Run, text: str) -> Any:
    """Return a new run that looks as `model` does, in a hyperlink where that is in one."""
    run = etree.Element(model.element.tag, {k: v for k, v in model.element.attrib.items() if k not in _IGNORED})
    properties = model.element.find(f"{_W}rPr")
    if properties is not None:
        run.append(copy.deepcopy(properties))
    etree.SubElement(run, f"{_W}t")
    _write(run, text)
    if model.link is None:
        return run
    link = etree.Element(model.link.tag, model.link.attrib, nsmap=model.link.nsmap)
    link.append(run)
    return link


def _write(run: Any, text: str) -> None:
    node = run.find(f"{_W}t")
    node.text = "".join(c for c in text if c in "\t\n" or ord(c) >= 32)
    node.set(_SPACE, "preserve")
