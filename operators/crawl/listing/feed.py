"""RSS, Atom and JSON Feed: the entries of a podcast or blog, from bytes already fetched."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from voxmill.manifests.reasons import reject
from voxmill.operators.crawl.facts.candidate import Candidate
from voxmill.operators.crawl.facts.crawl_errors import Limit, Unreadable
from voxmill.operators.crawl.facts.licence import of_feed
from voxmill.operators.crawl.facts.media_types import decoded, is_hls, is_media, unmarked
from voxmill.operators.crawl.facts.urls import absolute
from voxmill.operators.crawl.listing.document import ParsedDocument
from voxmill.operators.crawl.listing.enclosure import Offer, best
from voxmill.operators.crawl.listing.html_tags import DEEP, Tags, depth
from voxmill.operators.crawl.listing.json_feed import read_json_feed

_ROOT = re.compile(r"<(?:([\w.-]+):)?(rss|feed|rdf)[\s>]", re.IGNORECASE)


def read_feed(body: bytes, url: str, content_type: str = "") -> ParsedDocument:
    """One `Candidate` per entry, in the feed's order; one that encloses nothing is there with `list.no_media`. Raises Unreadable."""
    if unmarked(body).startswith(b"{"):
        return read_json_feed(body, url)
    import feedparser

    text = _plain(decoded(body))
    if depth(Tags(text)) > DEEP:
        raise Limit(f"elements nested more than {DEEP} deep at {url}")
    _teach(feedparser)
    # A file object: given text, feedparser would take it for an address and fetch it by itself.
    parsed = feedparser.parse(
        io.BytesIO(body),
        response_headers={"content-location": url, "content-type": content_type or "application/xml"},
        sanitize_html=False,  # nothing is shown, and it takes most of the time
        resolve_relative_uris=False,
    )
    if not parsed.entries and not parsed.get("version"):
        raise Unreadable(f"no feed at {url}: {parsed.get('bozo_exception', 'nothing in it')}")
    channel = parsed.feed
    base = _base(channel, url)
    entries = [_episode(entry, channel, url, base, number) for number, entry in enumerate(parsed.entries, 1)]
    cut = None
    if parsed.bozo:
        cut, in_last = _missing(text, len(body), parsed)
        if in_last and entries and entries[-1].rejection:
            entries.pop()  # what is left of the entry that the cut went through: the cut is said once
    following = next((link.get("href") for link in channel.get("links", []) if link.get("rel") == "next"), None)
    return ParsedDocument(tuple(entries), next_url=absolute(base, following) if following else None, cut=cut)


def _teach(feedparser: Any) -> None:
    """Patches feedparser to keep all podcast:alternateEnclosure elements, of which it keeps the last."""
    handler = feedparser.mixin._FeedParserMixin

    def alternate(self: Any, attributes: dict[str, str]) -> None:
        self._get_context().setdefault("voxmill_alternates", []).append({**attributes, "sources": []})

    def source(self: Any, attributes: dict[str, str]) -> None:
        if alternates := self._get_context().get("voxmill_alternates"):
            alternates[-1]["sources"].append(attributes.get("uri", ""))

    handler._start_podcast_alternateenclosure = alternate
    handler._start_podcast_source = source
    handler._end_podcast_alternateenclosure = handler._end_podcast_source = lambda self: None


def _episode(entry: Mapping[str, Any], channel: Mapping[str, Any], url: str, base: str, number: int) -> Candidate:
    found = Candidate(
        url=f"{url}#{number}",
        page_url=url,
        title=_text(entry.get("title")),
        author=_text(entry.get("author") or channel.get("author") or channel.get("title")),
        published=_date(entry),
        licence=of_feed(entry, channel),
        language=_text(entry.get("language") or channel.get("language")),
        seconds=_seconds(entry.get("itunes_duration")),
    )
    offer = best(_offers(entry))
    if offer is None:
        said = f"entry {number} encloses nothing to hear" + (f": {entry['link']}" if entry.get("link") else "")
        return replace(found, rejection=reject("list.no_media", said))
    address = absolute(_base(entry, base), offer.address.strip())
    return replace(found, url=address, kind="hls" if is_hls(address) else "http")


def _offers(entry: Mapping[str, Any]) -> Iterator[Offer]:
    for one in entry.get("enclosures", []):
        yield Offer(one.get("href") or one.get("url") or "", one.get("type") or "", enclosed=True, default=True)
    for one in entry.get("media_content", []):
        yield Offer(
            one.get("url") or "",
            one.get("type") or "",
            (one.get("medium") or "").lower(),
            default=one.get("isdefault") == "true",
            bitrate=_number(one.get("bitrate")),
        )
    for one in entry.get("content", []):
        if one.get("src"):  # Atom: the content of the entry is elsewhere
            yield Offer(one["src"], one.get("type") or "")
    for one in entry.get("voxmill_alternates", []):
        web = [uri for uri in one["sources"] if uri.lower().startswith(("http:", "https:"))]
        for uri in web[:1] or [uri for uri in one["sources"] if ":" not in uri][:1]:
            yield Offer(uri, one.get("type") or "", enclosed=True, bitrate=_number(one.get("bitrate")))
    for address in (entry.get("link"), *(link.get("href") for link in entry.get("links", []))):
        if address and is_media(address):
            yield Offer(address)


def _base(context: Mapping[str, Any], url: str) -> str:
    """The `xml:base` in effect: feedparser notes it with every text."""
    texts = [context.get(key) for key in ("title_detail", "subtitle_detail", "summary_detail", "rights_detail")]
    texts += context.get("content", [])[:1]
    stated = next((str(text["base"]) for text in texts if text and text.get("base")), url)
    # To feedparser the slashes before the path of a `file:` address are too many.
    return url if stated == re.sub("(?<=://)/+", "", url) else absolute(url, stated)


def _missing(text: str, size: int, parsed: Mapping[str, Any]) -> tuple[str | None, bool]:
    """What is missing of a document that is not well-formed, and whether it ends inside the last entry read."""
    root = _ROOT.search(text)
    if root is None:
        return None, False
    name = f"{root[1]}:{root[2]}" if root[1] else root[2]
    prefix = f"{root[1]}:" if root[1] else ""
    opened = list(re.finditer(f"<{re.escape(prefix)}(?:item|entry)[\\s>/]", text, re.IGNORECASE))
    closed = f"</{name.lower()}" in text.lower()
    read = len(parsed["entries"])
    if closed and len(opened) <= read:
        return None, False
    error = " ".join(str(parsed.get("bozo_exception", "")).split())
    if closed:
        return f"{read} of {len(opened)} entries could be read: {error}", False
    inside = bool(opened) and not re.search(f"</{re.escape(prefix)}(?:item|entry)", text[opened[-1].start() :], re.IGNORECASE)
    where = f", inside entry {len(opened)}" if inside else f", after entry {len(opened)}"
    return f"cut off after {size} bytes{where}: <{name}> is not closed ({error})", inside and read >= len(opened)


def _plain(text: str) -> str:
    """The text without comments and CDATA, in which tags are text."""
    parts, at = [], 0
    while match := re.compile(r"<!--|<!\[CDATA\[").search(text, at):
        parts.append(text[at : match.start()])
        end = text.find("-->" if match[0] == "<!--" else "]]>", match.end())
        if end < 0:
            return "".join(parts)
        at = end + 3
    return "".join([*parts, text[at:]])


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _number(text: str | None) -> float:
    try:
        return max(0.0, float(text or 0))
    except ValueError:
        return 0.0


def _date(entry: Mapping[str, Any]) -> str | None:
    moment = entry.get("published_parsed") or entry.get("updated_parsed")
    try:
        return datetime(*moment[:6]).isoformat() + "Z" if moment else None
    except ValueError:
        return None


def _seconds(text: str | None) -> float | None:
    """
    >>> _seconds("1:02:03"), _seconds("90"), _seconds("an hour")
    (3723.0, 90.0, None)
    """
    try:
        total = 0.0
        for part in (text or "x").split(":"):
            total = total * 60 + float(part)
    except ValueError:
        return None
    return total if 0 <= total < 1e7 else None
