"""Something to fetch, as a listing finds it; and how it becomes an `Item`."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote, unquote_to_bytes, urljoin, urlsplit

from voxmill.manifests.ids import digest, item_id
from voxmill.manifests.records import Item, Licence, Provenance, Rejection
from voxmill.operators.crawl.facts.licence import UNKNOWN, of_config

if TYPE_CHECKING:
    from voxmill.operators.crawl.listing.lister import SourceConfig


@dataclass(frozen=True, slots=True)
class Found:
    """An address of audio and what the place that led to it says of it."""

    url: str
    kind: Literal["http", "hls", "file", "manifest"] = "http"
    page_url: str | None = None
    title: str | None = None
    author: str | None = None
    published: str | None = None
    licence: Licence = UNKNOWN
    language: str | None = None
    domain: str | None = None
    seconds: float | None = None
    """Duration as stated, which is only a claim."""
    host: str | None = None
    rejection: Rejection | None = None

    def item(self, source: SourceConfig) -> Item:
        """What the config states of the source is stronger than what the source says of itself."""
        url = sound(self.url)
        provenance = Provenance(
            source=source.name,
            url=url,
            page_url=sound(self.page_url) if self.page_url else self.page_url,
            host=self.host or (_host(url) if self.kind in ("http", "hls") else "local"),
            title=_text(self.title),
            author=_text(self.author),
            published=_text(self.published),
        )
        return Item(
            id=digest(["unread", source.name, url]) if self.rejection else item_id(_key(url)),
            provenance=provenance,
            licence=of_config(source.licence) if source.licence else _licence(self.licence),
            kind=self.kind,
            language=source.language or _text(self.language),
            domain=source.domain or _text(self.domain),
            rejection=self.rejection,
        )


def absolute(base: str, address: str) -> str:
    """What a link on the page `base` leads to. One that cannot be read stays as it is, and is refused when it is fetched.

    >>> absolute("http://a.net/x/", "../b.mp3"), absolute("http://a.net/x/", "http://[broken/b.mp3")
    ('http://a.net/b.mp3', 'http://[broken/b.mp3')
    """
    try:
        return urljoin(base, address)
    except ValueError:
        return address


def sound(url: str) -> str:
    """An address that a record can hold: bytes that are no UTF-8 are percent-encoded as they came.

    >>> sound("http://a.net/caf\\udce9.mp3"), sound("http://a.net/é.mp3")
    ('http://a.net/caf%E9.mp3', 'http://a.net/é.mp3')
    """
    return _SURROGATE.sub(lambda match: quote(_bytes(match[0])), url)


def _bytes(surrogate: str) -> bytes:
    """What a decoder escaped; what was never a byte is the sign for it."""
    return bytes([ord(surrogate) - 0xDC00]) if "\udc80" <= surrogate <= "\udcff" else "\ufffd".encode()


_SURROGATE = re.compile("[\ud800-\udfff]")


def _host(url: str) -> str:
    """Empty where the address has none that could be read."""
    try:
        return urlsplit(url).netloc.rpartition("@")[2].lower()
    except ValueError:
        return ""


def file_uri(path: str | os.PathLike[str]) -> str:
    """A `file:` URI of any path, its bytes percent-encoded: names need not be UTF-8, records must be."""
    return Path(os.path.abspath(path)).as_uri()


def file_path(uri: str) -> str:
    """The inverse of `file_uri`, and what it is given if that is no `file:` URI.

    >>> file_path("file:///a%20b%FF.wav").encode("utf-8", "surrogateescape")
    b'/a b\\xff.wav'
    """
    return os.fsdecode(unquote_to_bytes(urlsplit(uri).path)) if uri.lower().startswith("file:") else uri


def _key(url: str) -> str:
    """In object stores `#` and `?` are parts of a name, not separators."""
    return url if url.startswith(("http", "file:")) else url.replace("#", "%23").replace("?", "%3F")


def _licence(stated: Licence) -> Licence:
    return replace(stated, evidence=_text(stated.evidence), attribution=_text(stated.attribution))


def _text(value: str | None) -> str | None:
    """Text that a record can hold: lone surrogates would not survive UTF-8."""
    return value.encode("utf-8", "replace").decode().strip() or None if value else None
