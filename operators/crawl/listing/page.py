"""An HTML page: the media it offers, in document order, with what it says of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from selectolax.lexbor import LexborHTMLParser, LexborNode

from voxmill.operators.crawl.facts.media_types import decoded, is_hls, is_media
from voxmill.operators.crawl.facts.urls import absolute
from voxmill.operators.crawl.listing.html_tags import flatten


@dataclass(frozen=True, slots=True)
class MediaLink:
    """An address of media, absolute, and its title if the page gives one."""

    url: str
    title: str | None = None


_CHARSET = re.compile(r"charset\s*=\s*[\"']?\s*([\w.:-]{1,40})", re.IGNORECASE)
_FEEDS = ("application/rss+xml", "application/atom+xml", "application/feed+json")


def parse(body: bytes, content_type: str = "") -> LexborHTMLParser:
    """The tree of a page; an absurdly deep one is flattened first."""
    return parse_to_end(body, content_type)[0]


def parse_to_end(body: bytes, content_type: str = "") -> tuple[LexborHTMLParser, str | None]:
    """The tree of a page, and what the page ends inside of or None."""
    text, cut = flatten(_text(body, content_type))
    return LexborHTMLParser(text), cut


def _text(body: bytes, content_type: str) -> str:
    """By the charset of the headers, of a byte order mark, of the page itself; else UTF-8, else Windows-1252."""
    stated = _CHARSET.search(content_type)
    marked = body.startswith((b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf")) or b"\0" in body[:8]
    within = _CHARSET.search(body[:4096].decode("latin-1")) if not marked else None
    for match in (stated, within):
        if match:
            try:
                return body.decode(match[1], "replace")
            except (LookupError, ValueError):
                continue  # a charset nobody knows, or no charset
    text = decoded(body)
    if any("\udc80" <= character <= "\udcff" for character in text[:65536]):
        return body.decode("cp1252", "replace")
    return text.encode("utf-8", "replace").decode()


def title_of(tree: LexborHTMLParser) -> str | None:
    """The `<title>` of a page, or None."""
    node = tree.css_first("title")
    return _clean(node.text()) if node else None


def language_of(tree: LexborHTMLParser) -> str | None:
    """The `lang` attribute of `<html>`, or None."""
    node = tree.css_first("html")
    return ((node.attributes.get("lang") or "").strip() or None) if node else None


def media_links(tree: LexborHTMLParser, url: str) -> list[MediaLink]:
    """Media of a page, in order: `<audio>`, `<video>` (its first source), enclosures, Open Graph audio, links to media files."""
    base = _base(tree, url)
    found: dict[str, MediaLink] = {}
    for address, title in _addresses(tree):
        target = absolute(base, address.strip()).partition("#")[0]
        if target.startswith(("http://", "https://")):
            found.setdefault(target, MediaLink(target, title))
    return list(found.values())


def announced_feed(tree: LexborHTMLParser, url: str) -> str | None:
    """The first RSS, Atom or JSON feed that the page announces (`link rel=alternate`), without feeds of comments; or None."""
    for node in tree.css("link[rel~=alternate i][href]"):
        said = node.attributes
        if (said.get("type") or "").strip().lower() in _FEEDS and "comment" not in (said.get("title") or "").lower():
            address = absolute(_base(tree, url), (said.get("href") or "").strip())
            if address.startswith(("http://", "https://")):
                return address
    return None


def _base(tree: LexborHTMLParser, url: str) -> str:
    node = tree.css_first("base[href]")
    return absolute(url, (node.attributes.get("href") or "") if node else "")


def _addresses(tree: LexborHTMLParser) -> Iterator[tuple[str, str | None]]:
    for node in tree.css(
        "audio, video, a[href], link[rel~=enclosure i][href], meta[property='og:audio'], meta[property^='og:audio:'],"
        "embed[src], object[data]"
    ):
        if node.tag in ("audio", "video"):
            address = node.attributes.get("src") or _first_source(node)
            if address:
                yield address, _clean(node.attributes.get("title") or node.attributes.get("aria-label"))
        elif node.tag == "a":
            address = node.attributes.get("href") or ""
            typed = (node.attributes.get("type") or "").lower().startswith(("audio/", "video/"))
            if is_media(address) or is_hls(address) or typed:
                yield address, _clean(node.attributes.get("title") or node.text())
        elif node.tag in ("embed", "object"):
            address = node.attributes.get("src" if node.tag == "embed" else "data") or ""
            if is_media(address) or is_hls(address):
                yield address, _clean(node.attributes.get("title"))
        elif node.tag == "link":
            yield node.attributes.get("href") or "", _clean(node.attributes.get("title"))
        elif node.attributes.get("property") in ("og:audio", "og:audio:url", "og:audio:secure_url"):
            yield node.attributes.get("content") or "", None


def _first_source(player: LexborNode) -> str | None:
    return next((source.attributes["src"] for source in player.css("source[src]") if source.attributes.get("src")), None)


def _clean(text: str | None) -> str | None:
    return " ".join((text or "").split())[:300] or None
