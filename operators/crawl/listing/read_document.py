"""Reads a feed, page, playlist or XML list into what it lists. Runs inside the reader process."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from urllib3 import HTTPHeaderDict

from voxmill.operators.crawl.facts.candidate import Candidate
from voxmill.operators.crawl.facts.crawl_errors import CrawlError, OptedOut, Unreadable
from voxmill.operators.crawl.facts.media_types import is_hls
from voxmill.operators.crawl.listing.document import ParsedDocument, RawDocument
from voxmill.operators.crawl.listing.extract import Extractor
from voxmill.operators.crawl.listing.feed import read_feed
from voxmill.operators.crawl.listing.remote_fetcher import Remote, RemoteReply
from voxmill.operators.crawl.listing.url_list import Row
from voxmill.operators.crawl.listing.xml_list import read_xml_list


def read_document(given: RawDocument, remote: Remote) -> ParsedDocument:
    """What the document lists. Raises a CrawlError, or whatever a parser raises."""
    if given.kind == "feed":
        return read_feed(given.body, given.final_url, dict(given.headers).get("content-type", ""))
    if given.kind == "xml_list":
        return read_xml_list(given.body, given.final_url)
    if given.kind == "playlist":
        return ParsedDocument(tuple(_extractor(remote).entries(given.url, limit=given.limit)))
    return _page(given, remote)


def _page(given: RawDocument, remote: Remote) -> ParsedDocument:
    """The media of the page itself; else the feed that it announces; else what a yt-dlp extractor finds."""
    from voxmill.operators.crawl.facts.licence import of_page
    from voxmill.operators.crawl.listing import page
    from voxmill.operators.crawl.policy.opt_out import page_opt_out

    headers = HTTPHeaderDict(list(given.headers))
    tree, cut = page.parse_to_end(given.body, headers.get("content-type", ""))
    if reserved := page_opt_out(tree):
        raise OptedOut(f"{given.final_url}: {reserved}")
    licence, title, language = of_page(tree), page.title_of(tree), page.language_of(tree)
    links, feed = page.media_links(tree, given.final_url), page.announced_feed(tree, given.final_url)
    del tree
    known = _known(remote, given.final_url)
    if known or not (links or feed):
        reply = RemoteReply(given.final_url, given.status, headers, given.body)
        try:
            entries = _extractor(remote).entries(given.url, reply, given.limit)
        except CrawlError as error:
            if not (links or feed):
                raise Unreadable(f"{error.detail}; the page is cut off: in {cut}") if cut else error from error
        else:
            found = [
                replace(
                    one,
                    licence=one.licence if one.licence.name != "unknown" else licence,
                    language=one.language or language,
                )
                for one in entries
            ]
            return ParsedDocument(tuple(found), cut=_ends_in(cut))
    if not links and feed:
        return ParsedDocument(rows=(Row(feed, "feed"),), cut=_ends_in(cut))
    kinds: list[Literal["hls", "http"]] = ["hls" if is_hls(link.url) else "http" for link in links]
    media = (
        Candidate(link.url, kind, given.final_url, link.title or title, licence.attribution, None, licence, language)
        for link, kind in zip(links, kinds, strict=True)
    )
    return ParsedDocument(tuple(media), cut=_ends_in(cut))


def _ends_in(cut: str | None) -> str | None:
    return f"the page ends inside {cut}" if cut else None


def _extractor(remote: Remote) -> Extractor:
    return Extractor(remote)


def _known(remote: Remote, url: str) -> bool:
    try:
        return _extractor(remote).knows(url)
    except ImportError:
        return False  # installed without yt-dlp
