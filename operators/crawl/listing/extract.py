"""Pages whose media only an extractor of yt-dlp finds, and playlists of such pages."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from voxmill.manifests.public_form import public_text
from voxmill.manifests.records import Licence
from voxmill.operators.crawl.facts.candidate import Candidate
from voxmill.operators.crawl.facts.crawl_errors import CrawlError, HttpError, NetworkError, Unreadable, Unsupported
from voxmill.operators.crawl.facts.licence import choose
from voxmill.operators.crawl.fetch.fetcher import Fetcher
from voxmill.operators.crawl.fetch.response import Reply
from voxmill.operators.crawl.listing.remote_fetcher import Remote, RemoteReply

if TYPE_CHECKING:
    from voxmill.operators.crawl.listing.ytdlp import FetchedYoutubeDL

_BOT = re.compile(r"not a bot|captcha|unusual traffic|HTTP Error 429|too many requests|rate.?limit", re.IGNORECASE)
_CLOSED = re.compile(
    r"\bDRM\b|log.?in|sign.?in|private|premium|subscri|members.only|purchase|paid|password|confirm your age|age.restricted"
    r"|geo.?restrict|not available (?:in|from) your|live event|is offline|upcoming|premieres in|protected|unsupported url scheme",
    re.IGNORECASE,
)
_NOTHING = re.compile(
    r"Unsupported URL(?! scheme)|No video formats|Requested format is not available|no media|Unable to extract", re.IGNORECASE
)


class Extractor:
    """Runs yt-dlp, with every request made by `fetcher`."""

    def __init__(self, fetcher: Fetcher | Remote) -> None:
        self._fetcher = fetcher

    def knows(self, url: str) -> bool:
        """Whether yt-dlp has a working extractor for this site, beyond its generic one."""
        from yt_dlp.extractor import gen_extractor_classes

        return any(ie.suitable(url) and ie.IE_NAME != "generic" and ie.working() for ie in gen_extractor_classes())

    def entries(self, url: str, page: Reply | RemoteReply | None = None, limit: int | None = None) -> list[Candidate]:
        """The media of a page or playlist. Protected, live or adult-only media carry a rejection.

        Raises a CrawlError where there is nothing, or no way to it.
        """
        with self._session(url, **({"playlistend": limit} if limit else {})) as ydl:
            if page is not None:
                ydl.handler.keep(url, page)
                ydl.handler.keep(page.url, page)
            entries = list(_flat(ydl.extract_info(url, download=False)))
            if not any(entries):
                raise self._explain(ydl, url)
            errors = iter(ydl.log.errors)
            return [
                _found(entry, url) if entry else _unread(f"{url}#{number}", url, next(errors, ""))
                for number, entry in enumerate(entries, 1)
            ]

    @contextmanager
    def _session(self, url: str, **options: Any) -> Iterator[FetchedYoutubeDL]:
        """A fresh yt-dlp, whose errors become a CrawlError."""
        from yt_dlp.utils import YoutubeDLError

        from voxmill.operators.crawl.listing.ytdlp import FetchedYoutubeDL

        with FetchedYoutubeDL(self._fetcher, **options) as ydl:
            try:
                yield ydl
            except YoutubeDLError as error:
                ydl.log.error(str(error))
                raise self._explain(ydl, url) from error

    def _explain(self, ydl: FetchedYoutubeDL, url: str) -> CrawlError:
        """The error for which yt-dlp found nothing: that of a failed request, else its own message."""
        said = _plain("; ".join(ydl.log.errors[-2:])) or "nothing to fetch there"
        for fault in reversed(ydl.handler.faults):
            if not isinstance(fault, (HttpError, NetworkError)) or not _CLOSED.search(said):
                return fault
        if _BOT.search(said):
            try:
                self._fetcher.refused_as_robot(url, said)
            except CrawlError as blocked:
                return blocked
        if _CLOSED.search(said) and not _NOTHING.search(said):
            return Unsupported(said)
        return Unreadable(said)


def _flat(info: Mapping[str, Any] | None) -> Iterator[Mapping[str, Any] | None]:
    """Nested playlists as one sequence of entries; None for an entry that could not be read."""
    if info is None or info.get("entries") is None:
        yield info
        return
    for entry in info["entries"]:
        yield from _flat(entry)


def _unread(address: str, page: str, said: str) -> Candidate:
    return Candidate(address, page_url=page, rejection=Unreadable(_plain(said)).rejection())


def _plain(said: str) -> str:
    """A message of yt-dlp without colours, advice and secrets."""
    text = " ".join(re.sub(r"\x1b\[[\d;]*m", "", said).split()).split("; please report")[0]
    return public_text(text)[:300]  # first, lest an address lose the end by which its secrets are known


def _found(info: Mapping[str, Any], page: str) -> Candidate:
    address, reason = info.get("url") or "", _closed(info)
    stated = choose([(info["license"], "license field")] if info.get("license") else [], "page", info.get("uploader"))
    return Candidate(
        url=address if reason is None else info.get("webpage_url") or address or page,
        kind="hls" if "m3u8" in str(info.get("protocol")) else "http",
        page_url=info.get("webpage_url") or page,
        title=info.get("title"),
        author=info.get("uploader") or info.get("artist") or info.get("channel"),
        published=_date(info.get("upload_date")),
        licence=stated if info.get("license") else Licence(),
        language=info.get("language"),
        seconds=info.get("duration"),
        rejection=Unsupported(reason).rejection() if reason else None,
    )


def _closed(info: Mapping[str, Any]) -> str | None:
    """Why media that an extractor found may not be fetched, or None."""
    if info.get("live_status") in ("is_live", "is_upcoming", "post_live") or info.get("is_live"):
        return "live"
    if info.get("has_drm"):
        return "DRM"
    if (info.get("age_limit") or 0) >= 18:
        return "for adults only"
    if info.get("availability") in ("private", "premium_only", "subscriber_only", "needs_auth"):
        return f"availability: {info['availability']}"
    return None if info.get("url") else "no address that a plain request could fetch"


def _date(text: str | None) -> str | None:
    return f"{text[:4]}-{text[4:6]}-{text[6:]}" if text and re.fullmatch(r"\d{8}", text) else None
