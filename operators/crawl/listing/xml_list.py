"""Lists of addresses in XML: OPML, XSPF, WPL, SMIL, ASX.

Parsed as a stream of events, so that entries before an error or a cut are kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from typing import cast
from xml.etree.ElementTree import Element, ParseError, XMLPullParser

from voxmill.operators.crawl.facts.crawl_errors import Unreadable
from voxmill.operators.crawl.facts.media_types import decoded, is_media
from voxmill.operators.crawl.facts.urls import absolute
from voxmill.operators.crawl.listing.document import ParsedDocument
from voxmill.operators.crawl.listing.url_list import Row

_BARE = re.compile(r"&(?!(?:amp|lt|gt|quot|apos|#[0-9]{1,7}|#x[0-9a-fA-F]{1,6});)")
_DECLARED = re.compile(r"^\s*<\?xml[^>]*\?>")


def read_xml_list(body: bytes, url: str) -> ParsedDocument:
    """The rows of an XML list. Raises Unreadable."""
    text = decoded(body)
    if re.search(r"<!(?:DOCTYPE|ENTITY)[^>]*\[", text[:65536], re.IGNORECASE):
        raise Unreadable(f"a list that declares entities at {url}")  # nobody needs them, and a few make gigabytes
    if re.match(r"\s*<asx\b", text, re.IGNORECASE):
        return ParsedDocument(rows=tuple(_asx(text, url)))
    text = _BARE.sub("&amp;", _DECLARED.sub("", text))  # addresses are full of ampersands that nobody escaped
    rows: list[Row] = []
    error = None
    parser: XMLPullParser[Element] = XMLPullParser(events=("start", "end"))
    base = [url]
    try:
        for start in range(0, len(text), 1 << 16):
            parser.feed(text[start : start + (1 << 16)])
            rows += _rows(parser, base)
        parser.close()
    except ParseError as broken:
        error = str(broken)
        with suppress(ParseError):
            for row in _rows(parser, base):
                rows.append(row)
    if not rows and error:
        raise Unreadable(f"no list at {url}: {error}")
    return ParsedDocument(rows=tuple(rows), cut=f"cut off or broken: {error}, after {len(rows)} entries" if error else None)


def _rows(parser: XMLPullParser[Element], base: list[str]) -> Iterator[Row]:
    """Rows parsed so far."""
    for said in parser.read_events():
        event, element = cast("tuple[str, Element]", said)
        name = _name(element)
        if event == "start" and name == "outline":
            yield from _outline(element, base[0])
        elif event == "start" and name in ("playlist", "opml"):
            base[0] = absolute(base[0], element.get("{http://www.w3.org/XML/1998/namespace}base", ""))
        elif event == "end" and name == "track":
            yield _track(element, base[0])
            element.clear()
        elif event == "end" and name in ("media", "audio", "video", "ref") and element.get("src"):
            yield Row(absolute(base[0], (element.get("src") or "").strip().replace("\\", "/")))


def _outline(element: Element, base: str) -> Iterator[Row]:
    """A feed (`xmlUrl`), another outline (`type=include`), or a file (`type=link|audio`); a heading gives no row."""
    said = {key.lower(): value.strip() for key, value in element.attrib.items()}
    title, language = said.get("title") or said.get("text"), said.get("language")
    address = said.get("xmlurl") or said.get("url")
    kind = said.get("type", "").lower()
    if said.get("xmlurl"):
        yield Row(absolute(base, said["xmlurl"]), "feed", title, language=language)
    elif address and (kind == "include" or address.lower().endswith(".opml")):
        yield Row(absolute(base, address), "list", title, language=language)
    elif address:
        media = kind in ("audio", "video", "song") or is_media(address)
        yield Row(absolute(base, address), "media" if media else None, title, language=language)
    elif kind in ("rss", "atom", "feed", "link", "audio", "video", "include"):
        yield Row("", title=title, broken=f"an outline of type {kind} without an address")


def _track(element: Element, base: str) -> Row:
    """XSPF: the first of its locations."""
    said = {_name(child): (child.text or "").strip() for child in reversed(element)}
    if not said.get("location"):
        return Row("", title=said.get("title") or None, broken="a track without a location")
    return Row(absolute(base, said["location"]), title=said.get("title") or None, author=said.get("creator") or None)


def _asx(text: str, url: str) -> Iterator[Row]:
    """Rows of an ASX file. It is rarely well-formed XML, so an HTML parser reads it, as players do."""
    from selectolax.lexbor import LexborHTMLParser

    from voxmill.operators.crawl.listing.html_tags import Tags

    tags = [text[tag.start : tag.end] for tag in Tags(text) if tag.name in ("ref", "entryref", "base")]
    tree = LexborHTMLParser("".join(tags))
    base = url
    for node in tree.css("[href]"):
        address = absolute(base, (node.attributes.get("href") or "").strip())
        if node.tag == "base":
            base = address
        elif address:
            yield Row(address, "list" if node.tag == "entryref" else None)


def _name(element: Element) -> str:
    return str(element.tag).rpartition("}")[2].lower()
