"""`Candidate`: an address of audio as a listing finds it, and how it becomes an `Item`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal
from urllib.parse import urlsplit

from voxmill.manifests.ids import digest, item_id
from voxmill.manifests.records import GivenSpan, Item, Licence, Provenance, Rejection
from voxmill.operators.crawl.facts.licence import UNKNOWN, of_config
from voxmill.operators.crawl.facts.source_config import SourceConfig
from voxmill.operators.crawl.facts.urls import storable_url


@dataclass(frozen=True, slots=True)
class Candidate:
    """An address of audio, with what the page, feed or list that led to it says of it."""

    url: str
    kind: Literal["http", "hls", "file", "manifest", "member"] = "http"
    page_url: str | None = None
    title: str | None = None
    author: str | None = None
    published: str | None = None
    licence: Licence = UNKNOWN
    language: str | None = None
    domain: str | None = None
    seconds: float | None = None
    """Duration as the source states it; not measured."""
    host: str | None = None
    rejection: Rejection | None = None
    given: tuple[GivenSpan, ...] | None = None
    """What the corpus that names it says of it."""

    def item(self, source: SourceConfig) -> Item:
        """The `Item` of this candidate. What the config states of the source overrides what the source says of itself."""
        url = storable_url(self.url)
        provenance = Provenance(
            source=source.name,
            url=url,
            page_url=storable_url(self.page_url) if self.page_url else self.page_url,
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
            given=self.given,
        )


def _host(url: str) -> str:
    """Host of an address, or empty where it cannot be parsed."""
    try:
        return urlsplit(url).netloc.rpartition("@")[2].lower()
    except ValueError:
        return ""


def _key(url: str) -> str:
    """The address to hash: in object stores `#` and `?` are part of a name, so they are escaped."""
    return url if url.startswith(("http", "file:")) else url.replace("#", "%23").replace("?", "%3F")


def _licence(stated: Licence) -> Licence:
    return replace(stated, evidence=_text(stated.evidence), attribution=_text(stated.attribution))


def _text(value: str | None) -> str | None:
    """Text that a record can hold: lone surrogates would not survive UTF-8."""
    return value.encode("utf-8", "replace").decode().strip() or None if value else None
