"""The sources in the config, and `List`, which expands each of them into items to fetch, in an order that never varies."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from voxmill.manifests.records import Item
from voxmill.manifests.settings import Settings
from voxmill.operators.crawl import files, page
from voxmill.operators.crawl.crawl import CrawlConfig
from voxmill.operators.crawl.errors import CrawlError, OptedOut, TooLong, Unreadable, Unsupported
from voxmill.operators.crawl.extract import Extractor
from voxmill.operators.crawl.feed import read_feed
from voxmill.operators.crawl.fetch_settings import NoContact
from voxmill.operators.crawl.fetcher import Fetcher
from voxmill.operators.crawl.found import Found, absolute, file_path, file_uri
from voxmill.operators.crawl.gate import HostGate
from voxmill.operators.crawl.kinds import Kind, is_hls, is_media, kind_by_content, kind_by_name, suffix
from voxmill.operators.crawl.licence import UNKNOWN, normalise, of_config, of_page
from voxmill.operators.crawl.manifest import read_manifest
from voxmill.operators.crawl.opt_out import page_opt_out
from voxmill.operators.crawl.reply import Reply
from voxmill.operators.crawl.url_list import Row, read_list

MAX_FEED_PAGES = 100


def _licence(text: str) -> str:
    name = normalise(text) or "-".join(text.lower().split())
    if not re.fullmatch(r"[a-z0-9][a-z0-9.+-]*", name):
        raise ValueError(
            f"{text!r} is no licence: an SPDX identifier (cc-by-4.0), public-domain, proprietary, or a name like them"
        )
    return text


class SourceConfig(Settings):
    """Where audio comes from. Whoever lists a source says by it that the crawl may ask there."""

    name: str = Field(min_length=1)
    """Unique in a run; part of every record."""
    url: str | None = None
    """A web address, an fsspec URL (s3://, gs://, file://), or a local path."""
    urls: tuple[str, ...] = ()
    """More addresses of the same source, each as `url` would be."""
    path: str | None = None
    """A local file or folder."""
    kind: Literal["auto"] | Kind = "auto"
    """What the address leads to; `auto` tells by suffix and content."""
    language: str | None = None
    """BCP 47 hint for the recognisers. Stronger than what the source says. Of several sound tracks, the one in it is heard."""
    domain: str | None = None
    """Kind of speech: `podcast`, `audiobook`, `broadcast`, … Free text, a column of the statistics."""
    channels: Literal["choose", "mix"] = "choose"
    """What several channels become: `choose` leaves out what is dead, noise, or cancels the others, `mix` is their mean."""
    licence: Annotated[str, AfterValidator(_licence)] | None = None
    """Stated here, it is stronger than what the source says; you answer for it."""
    glob: str | None = None
    """Which files of a folder (`*.wav`); null: those with a media suffix."""
    limit: int | None = Field(default=None, ge=1)
    """Take so many items at most, the first ones."""

    @model_validator(mode="after")
    def _somewhere(self) -> SourceConfig:
        if not any(address.strip() for address in self.addresses):
            raise ValueError(f"source `{self.name}` needs `url`, `urls` or `path`")
        return self

    @property
    def addresses(self) -> tuple[str, ...]:
        return tuple(filter(None, (self.url, *self.urls, self.path)))

    @property
    def is_web(self) -> bool:
        """Whether an address of it is asked of the web. What a list of yours names may be so all the same."""
        return any(files.is_web(address.strip()) for address in self.addresses)


class List:
    """Lists one source: `List(config, gate)(source)`. What cannot be read is an item with its rejection."""

    def __init__(self, config: CrawlConfig, gate: HostGate, fetcher: Fetcher | None = None) -> None:
        self._config = config
        self._fetcher = fetcher or Fetcher(config, gate)
        self._extractor = Extractor(self._fetcher)

    def __call__(self, source: SourceConfig) -> list[Item]:
        """The items in the source's order; an address that comes twice stays where it came first.

        Raises NoContact before anything is fetched in nobody's name.
        """
        items: dict[str, Item] = {}
        for found in self._source(source):
            if found.seconds and found.seconds > self._config.max_seconds and found.rejection is None:
                found = replace(found, rejection=TooLong(f"{found.seconds:.0f} s as stated").rejection())
            if found.kind in ("http", "hls") and found.rejection is None and self._config.contact is None:
                raise NoContact(f"source `{source.name}` names web addresses ({found.url})")
            item = found.item(source)
            items.setdefault(item.id, item)
            if source.limit and len(items) >= source.limit:
                break
        return list(items.values())

    def _source(self, source: SourceConfig) -> Iterator[Found]:
        for address in source.addresses:
            kind = None if source.kind == "auto" else source.kind
            yield from self._or_rejection(self._expand(address.strip(), kind, source), address)

    def _or_rejection(self, found: Iterator[Found], address: str) -> Iterator[Found]:
        """What was found, and what stopped the search, if something did."""
        url = address if "://" in address else file_uri(address)
        empty = True
        try:
            for one in found:
                empty = False
                yield one
            if empty:
                raise Unreadable(f"no media at {address}")
        except CrawlError as error:
            yield Found(url, "http" if files.is_web(url) else "file", rejection=error.rejection())

    def _expand(self, address: str, kind: Kind | None, source: SourceConfig) -> Iterator[Found]:
        if files.is_web(address):
            yield from self._web(address, kind, source)
        elif files.is_file(address):
            yield from self._file(address, kind, source)
        else:
            raise Unsupported(f"no way to open {address}")

    def _file(self, address: str, kind: Kind | None, source: SourceConfig) -> Iterator[Found]:
        local = files.is_local(address)
        if local:
            address = os.path.expanduser(file_path(address))
        if kind == "files" or (kind is None and files.is_folder(address)):
            yield from files.walk(address, source.glob)
            return
        kind = kind or kind_by_name(file_uri(address) if local else address) or "media"
        if kind == "manifest":
            yield from read_manifest(address)
        elif kind == "list":
            rows = read_list(files.read_file(address), address)
            base = file_uri(address) if local else address
            yield from self._rows(rows, base, source, trusted=True)
        elif kind == "feed":
            yield from read_feed(files.read_file(address), file_uri(address) if local else address).episodes
        elif kind in ("page", "playlist"):
            raise Unsupported(f"a {kind} is read from the web only: {address}")
        elif local and not os.path.exists(address):
            raise Unreadable(f"no such file: {address}")
        else:
            url = file_uri(address) if local else address
            yield Found(url, "file", host=None if local else address.split("/")[2])

    def _web(self, url: str, kind: Kind | None, source: SourceConfig) -> Iterator[Found]:
        if kind in (None, "media", "playlist") and is_hls(url):
            yield Found(url, "hls")
        elif kind == "media" or (kind is None and is_media(url)):
            yield Found(url)
        elif kind in ("files", "manifest") or (kind is None and kind_by_name(url) == "manifest"):
            raise Unsupported(f"{kind or 'manifest'} is not read over HTTP, only from disks and stores: {url}")
        elif kind == "playlist":
            yield from self._extractor.entries(url, limit=source.limit)
        else:
            reply = self._fetcher.read(url, skip=lambda reply, head: _kind(kind, url, reply, head) == "media")
            yield from self._document(reply, url, _kind(kind, url, reply, reply.content), source)

    def _document(self, reply: Reply, url: str, kind: Kind, source: SourceConfig) -> Iterator[Found]:
        if kind == "media":
            yield Found(url)
        elif kind == "playlist":
            yield Found(url, "hls")
        elif kind == "list":
            rows = read_list(reply.content, url if suffix(url) else f"{url}.{_FORMATS.get(reply.content_type, 'txt')}")
            yield from self._rows(rows, reply.url, source, trusted=False)
        elif kind == "feed":
            yield from self._feed(reply)
        else:
            yield from self._page(reply, url, source)

    def _feed(self, reply: Reply) -> Iterator[Found]:
        for _ in range(MAX_FEED_PAGES):
            feed = read_feed(reply.content, reply.url, reply.headers.get("content-type", ""))
            yield from feed.episodes
            if feed.next_url is None:
                return
            reply = self._fetcher.read(feed.next_url)

    def _page(self, reply: Reply, url: str, source: SourceConfig) -> Iterator[Found]:
        tree = page.parse(reply.content, _charset(reply))
        if reserved := page_opt_out(tree):
            raise OptedOut(f"{reply.url}: {reserved}")
        licence, title, language = of_page(tree), page.title_of(tree), page.language_of(tree)
        links = page.media_links(tree, reply.url)
        if not links or self._extractor.knows(reply.url):
            try:
                for found in self._extractor.entries(url, reply, source.limit):
                    yield replace(
                        found,
                        licence=found.licence if found.licence.name != "unknown" else licence,
                        language=found.language or language,
                    )
                return
            except CrawlError:
                if not links:
                    raise
        for link in links:
            kind: Literal["hls", "http"] = "hls" if is_hls(link.url) else "http"
            yield Found(link.url, kind, reply.url, link.title or title, licence.attribution, None, licence, language)

    def _rows(self, rows: Iterator[Row], base: str, source: SourceConfig, *, trusted: bool) -> Iterator[Found]:
        """The lines of a list. One from the web names web addresses only: it must not point into this machine."""
        for row in rows:
            url = row.url if "://" in row.url or os.path.isabs(row.url) else absolute(base, row.url)
            if not files.is_web(url) and not (trusted and files.is_file(url)):
                yield Found(url, "http", base, rejection=Unsupported(f"a list names {url}").rejection())
                continue
            kind = row.kind or kind_by_name(url) or "media"
            if kind in ("list", "files", "manifest") and row.kind is None:
                kind = "media"  # lists do not nest, unless one says so
            nested = self._or_rejection(self._expand(url, kind, source), url)
            for found in islice(nested, source.limit):
                yield _told(found, row, base)


_FORMATS = {
    "text/csv": "csv",
    "text/tab-separated-values": "tsv",
    "application/jsonl": "jsonl",
    "application/x-ndjson": "jsonl",
}


def _kind(asked: Kind | None, url: str, reply: Reply, head: bytes) -> Kind:
    return asked or kind_by_content(reply.content_type, head) or kind_by_name(url) or kind_by_name(reply.url) or "media"


def _charset(reply: Reply) -> str | None:
    match = re.search(r"charset=[\"']?([\w.:-]+)", reply.headers.get("content-type", ""), re.IGNORECASE)
    return match[1] if match else None


def _told(found: Found, row: Row, base: str) -> Found:
    """What a list says of its line, where the thing itself says nothing (a licence: where the list says one)."""
    return replace(
        found,
        page_url=found.page_url or base,
        title=found.title or row.title,
        author=found.author or row.author,
        language=row.language or found.language,
        domain=row.domain or found.domain,
        licence=replace(of_config(row.licence), source="feed") if row.licence else found.licence or UNKNOWN,
    )
