"""An HTML page: the media it offers, in document order, with what it says of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from selectolax.lexbor import LexborHTMLParser, LexborNode

from voxmill.operators.crawl.found import absolute
from voxmill.operators.crawl.kinds import is_hls, is_media


@dataclass(frozen=True, slots=True)
class Link:
    """An address of media, absolute, and its title if the page gives one."""

    url: str
    title: str | None = None


def parse(body: bytes, charset: str | None = None) -> LexborHTMLParser:
    """The tree of a page; the parser finds the charset itself unless the headers name one."""
    if charset:
        try:
            return LexborHTMLParser(body.decode(charset, "replace"))
        except LookupError:
            pass  # a charset nobody knows
    return LexborHTMLParser(body)


def title_of(tree: LexborHTMLParser) -> str | None:
    node = tree.css_first("title")
    return _clean(node.text()) if node else None


def language_of(tree: LexborHTMLParser) -> str | None:
    node = tree.css_first("html")
    return ((node.attributes.get("lang") or "").strip() or None) if node else None


def media_links(tree: LexborHTMLParser, url: str) -> list[Link]:
    """`<audio>` and `<video>` (of several sources the first), enclosures, Open Graph audio, and links to media files."""
    node = tree.css_first("base[href]")
    base = absolute(url, (node.attributes.get("href") or "") if node else "")
    found: dict[str, Link] = {}
    for address, title in _addresses(tree):
        target = absolute(base, address.strip()).partition("#")[0]
        if target.startswith(("http://", "https://")):
            found.setdefault(target, Link(target, title))
    return list(found.values())


def _addresses(tree: LexborHTMLParser) -> Iterator[tuple[str, str | None]]:
    for node in tree.css(
        "audio, video, a[href], link[rel~=enclosure i][href], meta[property='og:audio'], meta[property^='og:audio:']"
    ):
        if node.tag in ("audio", "video"):
            address = node.attributes.get("src") or _first_source(node)
            if address:
                yield address, _clean(node.attributes.get("title") or node.attributes.get("aria-label"))
        elif node.tag == "a":
            address = node.attributes.get("href") or ""
            if is_media(address) or is_hls(address):
                yield address, _clean(node.attributes.get("title") or node.text())
        elif node.tag == "link":
            yield node.attributes.get("href") or "", _clean(node.attributes.get("title"))
        elif node.attributes.get("property") in ("og:audio", "og:audio:url", "og:audio:secure_url"):
            yield node.attributes.get("content") or "", None


def _first_source(player: LexborNode) -> str | None:
    return next((source.attributes["src"] for source in player.css("source[src]") if source.attributes.get("src")), None)


def _clean(text: str | None) -> str | None:
    return " ".join((text or "").split())[:300] or None
