"""RSS and Atom: the episodes of a podcast, from bytes that are already here."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from voxmill.operators.crawl.errors import Unreadable
from voxmill.operators.crawl.found import Found, absolute
from voxmill.operators.crawl.kinds import is_hls, is_media
from voxmill.operators.crawl.licence import of_feed


@dataclass(frozen=True, slots=True)
class Feed:
    episodes: tuple[Found, ...]
    next_url: str | None = None
    """The next part of a paged feed (RFC 5005)."""


def read_feed(body: bytes, url: str, content_type: str = "") -> Feed:
    """One `Found` per entry with an enclosure, in the feed's order; of several enclosures the first with sound.

    Raises Unreadable.
    """
    import feedparser

    # A file object: given text, feedparser would take it for an address and fetch it by itself.
    parsed = feedparser.parse(
        io.BytesIO(body), response_headers={"content-location": url, "content-type": content_type or "application/xml"}
    )
    if not parsed.entries and not parsed.version:
        raise Unreadable(f"no feed at {url}: {parsed.get('bozo_exception', 'nothing in it')}")
    channel = parsed.feed
    episodes = (_episode(entry, channel, url) for entry in parsed.entries)
    following = next((link.get("href") for link in channel.get("links", []) if link.get("rel") == "next"), None)
    return Feed(tuple(e for e in episodes if e), absolute(url, following) if following else None)


def _episode(entry: Mapping[str, Any], channel: Mapping[str, Any], url: str) -> Found | None:
    address = _audio(entry)
    if address is None:
        return None
    address = absolute(url, address)
    return Found(
        url=address,
        kind="hls" if is_hls(address) else "http",
        page_url=url,
        title=entry.get("title"),
        author=entry.get("author") or channel.get("author") or channel.get("title"),
        published=_date(entry),
        licence=of_feed(entry, channel),
        language=entry.get("language") or channel.get("language"),
        seconds=_seconds(entry.get("itunes_duration")),
    )


def _audio(entry: Mapping[str, Any]) -> str | None:
    media = [*entry.get("enclosures", []), *entry.get("media_content", [])]
    offers = [(m.get("href") or m.get("url") or "", (m.get("type") or "").lower(), m.get("medium")) for m in media]
    for sort in ("audio", "video"):
        for address, mime, medium in offers:
            if address and (mime.startswith(sort) or medium == sort):
                return str(address)
    return next((str(a) for a, mime, _ in offers if a and (is_media(a) or is_hls(a) or "mpegurl" in mime)), None)


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
