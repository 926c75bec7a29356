"""Reading a site: the pages below one address, level by level, with bounds on everything."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import SplitResult, unquote, urljoin, urlsplit, urlunsplit

from apps.core.egress import Fetched, fetch
from apps.core.errors import AppError, Cancelled
from apps.core.threads import while_checking
from apps.documents.errors import ExtractError
from apps.knowledge.extract.box import BoxDocument, BoxFile, extract_boxed

_BATCH = 8
_READABLE = (
    "text/html",
    "application/xhtml",
    "text/plain",
    "text/markdown",
    "application/pdf",
    "application/vnd.openxml",
)


@dataclass(frozen=True, slots=True)
class CrawlLimits:
    """Bounds of one crawl. A page may weigh `page_bytes` and take 20 s; the rest is in all."""

    pages: int
    depth: int
    total_bytes: int
    seconds: float
    page_bytes: int


@dataclass(frozen=True, slots=True)
class CrawledPage:
    """A page's address and what was read there; `known` is how many pages are known so far."""

    url: str
    result: BoxDocument | ExtractError
    known: int


@dataclass(slots=True)
class _State:
    limits: CrawlLimits
    check: Callable[[], None]
    deadline: float
    scope: tuple[str, str, str] | None = None
    seen: set[str] = field(default_factory=set)
    contents: set[str] = field(default_factory=set)
    bytes_left: int = 0
    begun: bool = False


def crawl(start: str, limits: CrawlLimits, *, check: Callable[[], None]) -> Iterator[CrawledPage]:
    """Yield the page at `start` and the pages of the same site below its folder that it leads to.

    `check` is called before every request, and twice a second while one lasts or a page is read; it may raise to stop. A
    page that cannot be had is yielded as its refusal only when it is the first. Links with a query are not followed: they
    have no end.
    """
    state = _State(limits, check, time.monotonic() + limits.seconds, bytes_left=limits.total_bytes)
    level = [start]
    state.seen.add(start)
    for _ in range(limits.depth + 1):
        following: list[str] = []
        for at in range(0, len(level), _BATCH):
            for page in _read_batch(level[at : at + _BATCH], state):
                yield page
                if isinstance(page.result, BoxDocument):
                    following.extend(_new_links(page, state))
        level = following
        if not level:
            return


def _read_batch(urls: list[str], state: _State) -> Iterator[CrawledPage]:
    with TemporaryDirectory(prefix="nlpsuite-crawl-") as folder:
        fetched: list[tuple[str, BoxFile]] = []
        for url in urls:
            state.check()
            if time.monotonic() > state.deadline or state.bytes_left <= 0:
                break
            first, state.begun = not state.begun, True
            page = _fetch(url, state)
            if isinstance(page, ExtractError):
                if first:
                    yield CrawledPage(url, page, len(state.seen))
                continue
            if page is None:
                continue
            path = Path(folder) / str(len(fetched))
            path.write_bytes(page.body)
            fetched.append((page.url, BoxFile(str(path), _name(page), _charset(page.content_type))))
        results = extract_boxed([file for _, file in fetched], with_links=True, check=state.check)
        for (url, _), result in zip(fetched, results, strict=True):
            yield CrawledPage(url, result, len(state.seen))


def _fetch(url: str, state: _State) -> Fetched | ExtractError | None:
    """Return the page, why the first one cannot be had, or None for a page that adds nothing."""
    try:
        most = min(state.limits.page_bytes, state.bytes_left)
        page = while_checking(partial(fetch, url, max_bytes=most), state.check)
    except Cancelled:
        raise
    except AppError as error:
        return ExtractError(error.code, error.message)
    state.bytes_left -= len(page.body)
    if page.status != 200:
        return ExtractError("fetch_status", f"The address answered with status {page.status}.")
    final = urlsplit(page.url)
    if state.scope is None:
        state.scope = (final.scheme, final.netloc, _folder(final))
        state.seen.add(_without_fragment(final))
    elif not _inside(final, state.scope):
        return None
    kind = page.content_type.split(";")[0].strip().lower()
    if kind and not kind.startswith(_READABLE):
        return ExtractError("unsupported_type", f"The address is of type {kind}.")
    digest = hashlib.sha256(page.body).hexdigest()
    if digest in state.contents:
        return None
    state.contents.add(digest)
    return page


def _new_links(page: CrawledPage, state: _State) -> Iterator[str]:
    links = page.result.links if isinstance(page.result, BoxDocument) else ()
    for link in links:
        if len(state.seen) >= state.limits.pages or state.scope is None:
            return
        try:
            target = urlsplit(urljoin(page.url, link))
            url = _without_fragment(target)
        except ValueError:
            continue
        if url not in state.seen and not target.query and _inside(target, state.scope):
            state.seen.add(url)
            yield url


def _folder(parts: SplitResult) -> str:
    """`/docs/index.html` -> `/docs/`; `/docs` -> `/docs`, which is then a folder's name."""
    last = parts.path.rpartition("/")[2]
    return parts.path[: -len(last)] if "." in last else parts.path


def _inside(parts: SplitResult, scope: tuple[str, str, str]) -> bool:
    scheme, netloc, folder = scope
    if (parts.scheme, parts.netloc) != (scheme, netloc) or "/.." in unquote(parts.path):
        return False
    return parts.path == folder or parts.path.startswith(folder if folder.endswith("/") else folder + "/")


def _without_fragment(parts: SplitResult) -> str:
    return urlunsplit(parts._replace(fragment="", path=parts.path or "/"))


def _name(page: Fetched) -> str:
    name = urlsplit(page.url).path.rpartition("/")[2]
    return name if "." in name or "html" not in page.content_type else f"{name or 'index'}.html"


def _charset(content_type: str) -> str:
    _, _, charset = content_type.partition("charset=")
    return charset.split(";")[0].strip(" \"'")[:40]
