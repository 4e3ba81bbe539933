"""`Lister` expands each source of the config into the items to fetch, in an order that never varies."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from typing import Literal

from voxmill.manifests.ids import digest
from voxmill.manifests.known_ids import KnownIds
from voxmill.manifests.reasons import reject
from voxmill.manifests.records import Item
from voxmill.operators.crawl.corpora.layout_table import CORPORA, read_corpus, told_kind
from voxmill.operators.crawl.facts.candidate import Candidate
from voxmill.operators.crawl.facts.crawl_errors import CrawlError, Limit, TooLong, Unreadable, Unsupported
from voxmill.operators.crawl.facts.licence import UNKNOWN, of_config
from voxmill.operators.crawl.facts.media_types import Kind, is_hls, is_media, is_xml_list, kind_by_content, kind_by_name, suffix
from voxmill.operators.crawl.facts.source_config import SourceConfig
from voxmill.operators.crawl.facts.urls import absolute, beside, file_path, file_uri, is_local, is_openable, is_web
from voxmill.operators.crawl.fetch.crawl_config import CrawlConfig, NoContact
from voxmill.operators.crawl.fetch.fetcher import Fetcher
from voxmill.operators.crawl.fetch.response import Reply
from voxmill.operators.crawl.listing import files
from voxmill.operators.crawl.listing.document import ParsedDocument, RawDocument
from voxmill.operators.crawl.listing.gzip_body import gunzip
from voxmill.operators.crawl.listing.sandboxed_reader import SandboxedReader
from voxmill.operators.crawl.listing.unlisted import Unlisted
from voxmill.operators.crawl.listing.url_list import Row, read_list
from voxmill.operators.crawl.listing.voxmill_manifest import read_manifest
from voxmill.operators.crawl.policy.host_limit import HostGate

MAX_FEED_PAGES = 100
MAX_DEPTH = 3
"""Levels of lists in lists, such as a page that names an outline of feeds."""


class Lister:
    """Lists one source: `Lister(config, gate)(source)`. What cannot be read becomes an item with a rejection.

    Lists may name other lists, feeds and pages (at most `MAX_DEPTH` deep); candidates keep the order of the source.
    """

    def __init__(self, config: CrawlConfig, gate: HostGate, fetcher: Fetcher | None = None) -> None:
        self._config = config
        self._fetcher = fetcher or Fetcher(config, gate)
        self._reader = SandboxedReader(self._fetcher, config.read_seconds)
        self.unlisted = Unlisted()
        """Of all folders that were walked."""

    def __call__(self, source: SourceConfig) -> list[Item]:
        """All items of the source, as `each` gives them."""
        return list(self.each(source))

    def each(self, source: SourceConfig) -> Iterator[Item]:
        """The items of the source one at a time, in its order. A repeated address becomes an item rejected as `list.duplicate`.

        Raises NoContact before any web address is asked for while `crawl.contact` is not set.
        """
        known, taken = KnownIds(), 0
        for listed, found in enumerate(self._source(source)):
            if found.seconds and found.seconds > self._config.max_seconds and found.rejection is None:
                found = replace(found, rejection=TooLong(f"{found.seconds:.0f} s as stated").rejection())
            if found.kind in ("http", "hls") and found.rejection is None and self._config.contact is None:
                raise NoContact(f"source `{source.name}` names web addresses ({found.url})")
            item = found.item(source)
            if not known.add(item.id):
                again = digest(["again", item.id, str(listed)])
                item = replace(item, id=again, rejection=item.rejection or reject("list.duplicate", item.id))
                known.add(item.id)
            yield item
            taken += item.rejection is None or item.rejection.reason not in _NO_MEDIA
            if source.limit and taken >= source.limit:
                break

    def close(self) -> None:
        """Ends the sandboxed reader."""
        self._reader.close()

    def _source(self, source: SourceConfig) -> Iterator[Candidate]:
        if source.code:
            yield from self._own(source)
            return
        for address in source.addresses:
            kind = None if source.kind == "auto" or source.kind == "python" else source.kind
            with self._limited():
                yield from self._or_rejection(self._expand(address.strip(), kind, source, 0), address)

    def _own(self, source: SourceConfig) -> Iterator[Candidate]:
        """What the user's code lists: candidates as they are, addresses expanded like the lines of a list."""
        assert source.code is not None
        for one in source.code.make():
            if isinstance(one, Candidate):
                yield one
                continue
            with self._limited():
                yield from self._or_rejection(self._expand(str(one).strip(), None, source, 1), str(one))

    @contextmanager
    def _limited(self) -> Iterator[None]:
        """Limits listing within the block to `list_seconds`; a limit already set stays."""
        before = self._fetcher.deadline
        if before is None:
            self._fetcher.deadline = time.monotonic() + self._config.list_seconds
        try:
            yield
        finally:
            self._fetcher.deadline = before

    def _or_rejection(self, found: Iterator[Candidate], address: str) -> Iterator[Candidate]:
        """The candidates found; if the search fails or finds nothing, a candidate with the reason."""
        url = address if "://" in address else file_uri(address)
        empty = True
        try:
            for one in found:
                empty = False
                yield one
            if empty:
                raise Unreadable(f"no media at {address}")
        except CrawlError as error:
            yield Candidate(url, "http" if is_web(url) else "file", rejection=error.rejection())

    def _expand(self, address: str, kind: Kind | None, source: SourceConfig, depth: int) -> Iterator[Candidate]:
        if depth > MAX_DEPTH:
            raise Limit(f"lists in lists, more than {MAX_DEPTH} deep: {address}")
        if is_web(address):
            yield from self._web(address, kind, source, depth)
        elif is_openable(address):
            yield from self._file(address, kind, source, depth)
        else:
            raise Unsupported(f"no way to open {address}")

    def _file(self, address: str, kind: Kind | None, source: SourceConfig, depth: int) -> Iterator[Candidate]:
        local = is_local(address)
        if local:
            address = os.path.expanduser(file_path(address))
        if kind is None and (local or files.is_folder(address)) and (told := told_kind(address)):
            kind = told.kind
        if kind is not None and kind in CORPORA:
            yield from read_corpus(address, kind, source.corpus_options)
            return
        if kind == "files" or (kind is None and files.is_folder(address)):
            yield from files.walk(address, source.glob, self.unlisted)
            return
        kind = kind or kind_by_name(file_uri(address) if local else address) or "media"
        uri = file_uri(address) if local else address
        if kind == "manifest":
            yield from read_manifest(address)
        elif kind in ("list", "feed"):
            body, cut = gunzip(files.read_file(address), sys.maxsize)
            if kind == "list" and not is_xml_list(body):
                yield from self._rows(read_list(body, address), uri, source, depth, trusted=True)
            else:
                yield from self._read(
                    RawDocument("xml_list" if kind == "list" else "feed", uri, uri, body), cut, source, depth, trusted=True
                )
        elif kind in ("page", "playlist"):
            raise Unsupported(f"a {kind} is read from the web only: {address}")
        elif local and not os.path.exists(address):
            raise Unreadable(f"no such file: {address}")
        else:
            yield Candidate(uri, "file", host=None if local else address.split("/")[2])

    def _web(self, url: str, kind: Kind | None, source: SourceConfig, depth: int) -> Iterator[Candidate]:
        if kind in (None, "media", "playlist") and is_hls(url):
            yield Candidate(url, "hls")
        elif kind == "media" or (kind is None and is_media(url)):
            yield Candidate(url)
        elif kind in CORPORA or kind in ("files", "manifest") or (kind is None and kind_by_name(url) == "manifest"):
            raise Unsupported(f"{kind or 'manifest'} is not read over HTTP, only from disks and stores: {url}")
        elif kind == "playlist":
            yield from self._read(RawDocument("playlist", url, url, limit=source.limit), None, source, depth)
        else:
            reply = self._fetcher.read(url, skip=lambda reply, head: _kind(kind, url, reply, head) == "media", partly=True)
            yield from self._document(reply, url, kind, source, depth)

    def _document(self, reply: Reply, url: str, asked: Kind | None, source: SourceConfig, depth: int) -> Iterator[Candidate]:
        kind = _kind(asked, url, reply, reply.content)
        if kind in ("media", "playlist"):
            yield Candidate(url, "hls" if kind == "playlist" else "http")
            return
        body, cut = gunzip(reply.content, self._config.max_page_bytes)
        cut = reply.cut or cut
        if kind != "list" or is_xml_list(body):
            form: Literal["feed", "page", "xml_list"] = "xml_list" if kind == "list" else "feed" if kind == "feed" else "page"
            headers = tuple(reply.headers.items())
            given = RawDocument(form, url, reply.url, body, reply.status, headers, source.limit)
            yield from self._read(given, cut, source, depth)
            return
        if cut:
            body = body[: body.rfind(b"\n") + 1]  # the last line may be half an address
        rows = read_list(body, url if suffix(url) else f"{url}.{_FORMATS.get(reply.content_type, 'txt')}")
        yield from self._whole(self._rows(rows, reply.url, source, depth), cut, reply.url)

    def _read(
        self, given: RawDocument, cut: str | None, source: SourceConfig, depth: int, *, trusted: bool = False
    ) -> Iterator[Candidate]:
        """Candidates of a document; of a paged feed, of all its pages."""
        asked = {given.final_url}
        while True:
            try:
                document = self._reader(given)
            except Unreadable as error:
                if cut is None:
                    raise
                document, cut = ParsedDocument(), f"{cut}; {error.detail}"
            found = map(_on_disk, document.found) if trusted and not is_web(given.final_url) else iter(document.found)
            yield from self._whole(found, cut or document.cut, given.final_url)
            yield from self._rows(iter(document.rows), given.final_url, source, depth, trusted=trusted)
            if document.next_url is None or not is_web(document.next_url) or document.next_url in asked:
                return
            if len(asked) >= MAX_FEED_PAGES:
                raise Limit(f"a feed of more than {MAX_FEED_PAGES} pages: {document.next_url}")
            asked.add(document.next_url)
            reply = self._fetcher.read(document.next_url, partly=True)
            body, cut = gunzip(reply.content, self._config.max_page_bytes)
            cut, headers = reply.cut or cut, tuple(reply.headers.items())
            given = replace(given, url=document.next_url, final_url=reply.url, body=body, headers=headers)

    def _whole(self, found: Iterator[Candidate], cut: str | None, url: str) -> Iterator[Candidate]:
        """The candidates of a document, then a rejected one if a part of the document is missing."""
        yield from found
        if cut:
            yield Candidate(f"{url}#cut", page_url=url, rejection=reject("list.truncated", cut))

    def _rows(
        self, rows: Iterator[Row], base: str, source: SourceConfig, depth: int, *, trusted: bool = False
    ) -> Iterator[Candidate]:
        """Expands the lines of a list. A list from the web may name web addresses only: it must not point into this machine.

        Each line of the user's own list gets `list_seconds`; all lines of a list from the web share one limit.
        """
        for number, row in enumerate(rows, 1):
            if not row.url:
                said = reject("list.unreadable", row.broken or "a line without an address")
                yield Candidate(f"{base}#{number}", "http", base, row.title, rejection=said)
                continue
            url = row.url if "://" in row.url else absolute(base, row.url) if is_web(base) else beside(base, row.url)
            if not is_web(url) and not (trusted and is_openable(url)):
                yield Candidate(url, "http", base, row.title, rejection=Unsupported(f"a list names {url}").rejection())
                continue
            kind = row.kind or kind_by_name(url) or "media"
            if (kind in CORPORA or kind in ("list", "files", "manifest")) and row.kind is None:
                kind = "media"  # lists do not nest, unless one says so
            if trusted and depth == 0:
                self._fetcher.deadline = time.monotonic() + self._config.list_seconds
            nested = self._or_rejection(self._expand(url, kind, source, depth + 1), url)
            for found in islice(nested, source.limit):
                yield _told(found, row, base)


def _on_disk(found: Candidate) -> Candidate:
    """An entry of the user's own feed, which may enclose files beside it."""
    if found.rejection or is_web(found.url) or not is_openable(found.url):
        return found
    if is_local(found.url) and not os.path.exists(path := file_path(found.url)):
        return replace(found, kind="file", rejection=reject("list.unreadable", f"no such file: {path}"))
    return replace(found, kind="file", host=None if is_local(found.url) else found.url.split("/")[2])


_NO_MEDIA = ("list.no_media", "list.duplicate", "list.truncated", "list.bad_entry", "list.command")
"""Rejections that do not count towards the `limit` of a source."""


_FORMATS = {
    "text/csv": "csv",
    "text/tab-separated-values": "tsv",
    "application/jsonl": "jsonl",
    "application/x-ndjson": "jsonl",
}


def _kind(asked: Kind | None, url: str, reply: Reply, head: bytes) -> Kind:
    head = gunzip(head, 1 << 20)[0]
    return asked or kind_by_content(reply.content_type, head) or kind_by_name(url) or kind_by_name(reply.url) or "media"


def _told(found: Candidate, row: Row, base: str) -> Candidate:
    """Adds what a list says of its line where the target itself says nothing; a language, domain or licence of the list wins."""
    return replace(
        found,
        page_url=found.page_url or base,
        title=found.title or row.title,
        author=found.author or row.author,
        language=row.language or found.language,
        domain=row.domain or found.domain,
        licence=replace(of_config(row.licence), source="feed") if row.licence else found.licence or UNKNOWN,
    )
