"""What needs yt-dlp: pages whose media only a site's own extractor finds, playlists of pages, and HTTP Live Streams."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxmill.manifests.records import Licence
from voxmill.operators.crawl.download import Facts
from voxmill.operators.crawl.errors import CrawlError, HttpError, NetworkError, TooLong, Unreadable, Unsupported
from voxmill.operators.crawl.fetcher import Fetcher
from voxmill.operators.crawl.found import Found
from voxmill.operators.crawl.licence import choose
from voxmill.operators.crawl.reply import Reply

if TYPE_CHECKING:
    from voxmill.operators.crawl.ytdlp import FetchedYoutubeDL

_BOT = re.compile(r"not a bot|captcha|unusual traffic|HTTP Error 429|too many requests|rate.?limit", re.IGNORECASE)
_CLOSED = re.compile(
    r"\bDRM\b|log.?in|sign.?in|private|premium|subscri|members.only|purchase|paid|password|confirm your age|age.restricted"
    r"|geo.?restrict|not available (?:in|from) your|live event|is offline|upcoming|premieres in|protected|unsupported url scheme",
    re.IGNORECASE,
)
_NOTHING = re.compile(
    r"Unsupported URL(?! scheme)|No video formats|Requested format is not available|no media|Unable to extract", re.IGNORECASE
)
_ENCRYPTED = re.compile(r"#EXT-X-(?:SESSION-)?KEY:(?!.*METHOD=NONE)")
_DURATION = re.compile(r"#EXTINF:\s*([\d.]+)")


@dataclass(frozen=True, slots=True)
class Stream:
    """A live stream's parts as one file, in order."""

    sha256: str
    num_bytes: int
    num_parts: int
    facts: Facts
    """Of the playlist that was asked for."""


class Extractor:
    """Reads pages and streams through `fetcher`."""

    def __init__(self, fetcher: Fetcher) -> None:
        self._fetcher = fetcher

    def knows(self, url: str) -> bool:
        """Whether some extractor was written for this site, so that it tells more than the page's own tags."""
        from yt_dlp.extractor import gen_extractor_classes

        return any(ie.suitable(url) and ie.IE_NAME != "generic" and ie.working() for ie in gen_extractor_classes())

    def entries(self, url: str, page: Reply | None = None, limit: int | None = None) -> list[Found]:
        """The media of a page or playlist. What is protected, live or for adults only is found with its rejection.

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

    def stream(self, url: str, target: Path, max_bytes: int, max_seconds: float) -> Stream:
        """An on-demand stream into `target`, its parts joined, going on where an earlier attempt stopped.

        Raises a CrawlError.
        """
        from yt_dlp.downloader.hls import HlsFD

        playlist = self._fetcher.read(url)
        if not playlist.content.lstrip(b"\xef\xbb\xbf \r\n").startswith(b"#EXTM3U"):
            raise Unsupported(f"no playlist at {playlist.url}")
        with self._session(url) as ydl:
            ydl.handler.keep(url, playlist)
            info = ydl.extract_info(url, download=False, ie_key="Generic")
            chosen = next(_flat(info), None)
            if chosen is None:
                raise self._explain(ydl, url)
            media_url = chosen["url"]
            parts = ydl.urlopen(media_url).read().decode("utf-8", "replace")
            num_parts = _check_stream(parts, media_url, max_seconds)
            if not HlsFD.can_download(parts, chosen, False):
                raise Unsupported(f"a stream of a kind that cannot be joined at {media_url}")
            _same_plan(target, f"{media_url}\n{parts}")
            ydl.handler.byte_limit = max_bytes
            task = {**chosen, "url": media_url, "hls_media_playlist_data": parts, "http_headers": {}}
            if not HlsFD(ydl, ydl.params).real_download(str(target), task):
                raise self._explain(ydl, url)
        digest = hashlib.sha256()
        with target.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
        return Stream(digest.hexdigest(), target.stat().st_size, num_parts, Facts.of(playlist))

    @contextmanager
    def _session(self, url: str, **options: Any) -> Iterator[FetchedYoutubeDL]:
        """A fresh yt-dlp; what it raises ends as a CrawlError."""
        from yt_dlp.utils import YoutubeDLError

        from voxmill.operators.crawl.ytdlp import FetchedYoutubeDL

        with FetchedYoutubeDL(self._fetcher, **options) as ydl:
            try:
                yield ydl
            except YoutubeDLError as error:
                ydl.log.error(str(error))
                raise self._explain(ydl, url) from error

    def _explain(self, ydl: FetchedYoutubeDL, url: str) -> CrawlError:
        """Why yt-dlp came back with nothing: what stopped a request, else what it says."""
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


def clear_parts(target: Path) -> None:
    """Removes what an unfinished stream left."""
    for name in (target.name, *(f"{target.name}.{part}" for part in ("part", "ytdl", "plan"))):
        target.with_name(name).unlink(missing_ok=True)
    for fragment in target.parent.glob(f"{target.name}.part-Frag*"):
        fragment.unlink(missing_ok=True)


def _same_plan(target: Path, plan: str) -> None:
    """What an earlier attempt left counts only if it was after the same parts of the same playlist."""
    noted = target.with_name(f"{target.name}.plan")
    sha256 = hashlib.sha256(plan.encode()).hexdigest()
    if not noted.exists() or noted.read_text() != sha256:
        clear_parts(target)
        noted.write_text(sha256)


def _check_stream(playlist: str, url: str, max_seconds: float) -> int:
    """The number of parts of an open, finished, affordable media playlist. Raises Unsupported, TooLong."""
    if _ENCRYPTED.search(playlist):
        raise Unsupported(f"an encrypted stream at {url}")
    if "#EXT-X-ENDLIST" not in playlist:
        raise Unsupported(f"a live stream at {url}")
    durations = [float(text) for text in _DURATION.findall(playlist)]
    if sum(durations) > max_seconds:
        raise TooLong(f"{sum(durations):.0f} s at {url}")
    return len(durations)


def _flat(info: Mapping[str, Any] | None) -> Iterator[Mapping[str, Any] | None]:
    """Playlists in playlists as one series of entries; None stands for an entry that could not be read."""
    if info is None or info.get("entries") is None:
        yield info
        return
    for entry in info["entries"]:
        yield from _flat(entry)


def _unread(address: str, page: str, said: str) -> Found:
    return Found(address, page_url=page, rejection=Unreadable(_plain(said)).rejection())


def _plain(said: str) -> str:
    """A message of yt-dlp's without colours and advice."""
    return " ".join(re.sub(r"\x1b\[[\d;]*m", "", said).split()).split("; please report")[0][:300]


def _found(info: Mapping[str, Any], page: str) -> Found:
    address, reason = info.get("url") or "", _closed(info)
    stated = choose([(info["license"], "license field")] if info.get("license") else [], "page", info.get("uploader"))
    return Found(
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
    """Why media that an extractor found is none of ours."""
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
