"""JSON Feed 1.1 (https://jsonfeed.org). A document that is cut off loses only the items after the cut."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from voxmill.manifests.reasons import reject
from voxmill.operators.crawl.facts.candidate import Candidate
from voxmill.operators.crawl.facts.crawl_errors import Unreadable
from voxmill.operators.crawl.facts.media_types import is_hls, is_media
from voxmill.operators.crawl.facts.urls import absolute
from voxmill.operators.crawl.listing.document import ParsedDocument
from voxmill.operators.crawl.listing.enclosure import Offer, best

_ITEMS = re.compile(r'"items"\s*:\s*\[')
_BETWEEN = re.compile(r"[\s,]*")
_DECODE = json.JSONDecoder().raw_decode


def read_json_feed(body: bytes, url: str) -> ParsedDocument:
    """The items of a JSON feed. Raises Unreadable."""
    text = body.decode(json.detect_encoding(body), "replace").lstrip("\ufeff")
    try:
        feed, cut = json.loads(text), None
    except RecursionError as error:
        raise Unreadable(f"nested too deep at {url}") from error
    except ValueError as error:
        feed, cut = _pieces(text), f"cut off or broken after {len(body)} bytes: {error}"
    items = feed.get("items") if isinstance(feed, dict) else None
    if not isinstance(items, list):
        raise Unreadable(f"no feed at {url}: {cut or 'no list `items`'}")
    found = [_episode(item, feed, url, number) for number, item in enumerate(items, 1)]
    following = feed.get("next_url")
    return ParsedDocument(
        tuple(found), next_url=absolute(url, following) if isinstance(following, str) and following else None, cut=cut
    )


def _pieces(text: str) -> dict[str, Any]:
    """The complete items of a broken document, with the simple values before them."""
    start = _ITEMS.search(text)
    if start is None:
        return {}
    said: dict[str, Any] = {}
    for match in re.finditer(r'"(title|language|next_url)"\s*:\s*(?=")', text[: start.start()]):
        try:
            said[match[1]] = _DECODE(text, match.end())[0]
        except ValueError:
            continue
    return {**said, "items": list(_whole(text, start.end()))}


def _whole(text: str, at: int) -> Iterator[Any]:
    while True:
        match = _BETWEEN.match(text, at)
        assert match
        try:
            item, at = _DECODE(text, match.end())
        except (ValueError, RecursionError):
            return
        yield item


def _episode(item: Any, feed: Mapping[str, Any], url: str, number: int) -> Candidate:
    item = item if isinstance(item, dict) else {}
    page = _text(item, "url")
    attachments = [one for one in _list(item, "attachments") if isinstance(one, dict)]
    offers = [Offer(_text(one, "url") or "", _text(one, "mime_type") or "", enclosed=True) for one in attachments]
    offers += [Offer(address) for address in (page, _text(item, "external_url")) if address and is_media(address)]
    chosen = best(offers)
    seconds = next((one.get("duration_in_seconds") for one in attachments if chosen and one.get("url") == chosen.address), None)
    authors = [
        a
        for a in (*_list(item, "authors"), item.get("author"), *_list(feed, "authors"), feed.get("author"))
        if isinstance(a, dict)
    ]
    address = absolute(url, chosen.address.strip()) if chosen else f"{url}#{number}"
    return Candidate(
        url=address,
        kind="hls" if chosen and is_hls(address) else "http",
        page_url=url,
        title=_text(item, "title"),
        author=next(filter(None, (_text(a, "name") for a in authors)), None) or _text(feed, "title"),
        published=_text(item, "date_published"),
        language=_text(item, "language") or _text(feed, "language"),
        seconds=float(seconds) if isinstance(seconds, int | float) and 0 <= seconds < 1e7 else None,
        rejection=None
        if chosen
        else reject("list.no_media", f"item {number} has nothing to hear attached" + (f": {page}" if page else "")),
    )


def _text(fields: Mapping[str, Any], name: str) -> str | None:
    value = fields.get(name)
    return value if isinstance(value, str) else None


def _list(fields: Mapping[str, Any], name: str) -> list[Any]:
    value = fields.get(name)
    return value if isinstance(value, list) else []
