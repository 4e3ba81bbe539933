"""Downloads a finished HTTP Live Stream (RFC 8216) as one file: its segments in order, each EXT-X-MAP header where it applies.

`<target>` grows segment by segment and `<target>.plan` says what it holds, so that another attempt resumes. Segments marked
as gaps are not asked for; missing segments (404) do not lose the others. Both are listed in `Stream.lost`.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from voxmill.operators.crawl.facts.crawl_errors import BrokenBody, NotFound, TooLarge, TooLong, Unreadable, Unsupported
from voxmill.operators.crawl.fetch.download import ResponseFacts, content_range, sha256_of
from voxmill.operators.crawl.fetch.fetcher import Fetcher
from voxmill.operators.crawl.fetch.hls_playlist import (
    ByteRange,
    InitSection,
    MediaSegment,
    Playlist,
    choose_stream,
    join_ranges,
    read_playlist,
)
from voxmill.operators.crawl.fetch.response import Reply

MAX_PARTS = 200_000


@dataclass(frozen=True, slots=True)
class LostPart:
    """A stretch of the stream that could not be fetched."""

    at: float
    """Seconds from the start of the playlist."""
    seconds: float
    why: str


@dataclass(frozen=True, slots=True)
class Stream:
    """A downloaded stream, all segments in one file."""

    sha256: str
    num_bytes: int
    num_parts: int
    facts: ResponseFacts
    """Response facts of the playlist."""
    seconds: float = 0.0
    """Duration by the playlist, lost parts included (s)."""
    least_seconds: float = 0.0
    """Lower bound of it, allowing for rounding (s)."""
    lost: tuple[LostPart, ...] = ()


def fetch_stream(
    fetcher: Fetcher, url: str, target: Path, max_bytes: int, max_seconds: float, language: str | None = None
) -> Stream:
    """Downloads an on-demand stream into `target`, resuming an earlier attempt.

    `max_seconds` bounds the stated duration, `max_bytes` the file. Raises a CrawlError.
    """
    asked = fetcher.read(url)
    playlist = _playlist(asked)
    media_url, media = asked.url, playlist
    if playlist.is_master:
        if playlist.encryption:
            raise Unsupported(f"an encrypted stream at {url}: {playlist.encryption}")
        document = fetcher.read(choose_stream(playlist, language))
        media_url, media = document.url, _playlist(document, playlist)
    _check(media, media_url, max_seconds)
    plan = list(join_ranges(media.segments))
    with _Target(target, hashlib.sha256(repr((media_url, plan)).encode()).hexdigest()) as file:
        _fetch_parts(fetcher, plan, file, max_bytes)
        if not file.num_bytes:
            first = file.lost[0] if file.lost else None
            said = f"no part of the stream at {media_url} is there" + (f": {first.why}" if first else "")
            clear_parts(target)
            raise NotFound(said) if first and first.why != GAP else Unsupported(said)
        sha256 = sha256_of(file.file)
        stated = round(media.seconds, 3), round(media.least_seconds, 3)
        return Stream(sha256, file.num_bytes, len(media.segments), ResponseFacts.of(asked), *stated, tuple(file.lost))


GAP = "marked as a gap"


def clear_parts(target: Path) -> None:
    """Removes the files of an unfinished stream."""
    for name in (target.name, f"{target.name}.plan"):
        target.with_name(name).unlink(missing_ok=True)


def _playlist(reply: Reply, master: Playlist | None = None) -> Playlist:
    try:
        return read_playlist(reply.content, reply.url, master.variables if master else None)
    except Unreadable as error:
        raise Unsupported(error.detail) from error


def _check(playlist: Playlist, url: str, max_seconds: float) -> None:
    """Raises Unsupported or TooLong unless the playlist is a finished, unencrypted media playlist within limits."""
    if playlist.is_master:
        raise Unsupported(f"a playlist of playlists in one, at {url}")
    if playlist.encryption:
        raise Unsupported(f"an encrypted stream at {url}: {playlist.encryption}")
    if not playlist.ended:
        raise Unsupported(f"a live stream at {url}, or a playlist whose end is missing")
    if not playlist.segments:
        raise Unsupported(f"a playlist without parts at {url}")
    if playlist.seconds > max_seconds:
        raise TooLong(f"{playlist.seconds:.0f} s at {url}")
    if len(playlist.segments) > MAX_PARTS:
        raise TooLong(f"{len(playlist.segments)} parts at {url}, the limit is {MAX_PARTS}")


class _Target:
    """The output file, with notes beside it: a segment is noted once it is complete."""

    def __init__(self, path: Path, plan: str) -> None:
        self.path = path
        self.plan = plan
        self.notes = path.with_name(f"{path.name}.plan")
        self.done = 0
        self.num_bytes = 0
        self.lost: list[LostPart] = []
        self.last: int | None = None
        """Index of the segment written last: its init section applies."""
        self.missing: InitSection | None = None
        """An init section that is missing: its segments are not asked for."""

    def __enter__(self) -> _Target:
        try:
            noted = json.loads(self.notes.read_text())
        except (OSError, ValueError):
            noted = {}
        self.path.touch()
        if noted.get("plan") == self.plan and self.path.stat().st_size >= noted["size"]:
            self.done, self.num_bytes, self.last = noted["done"], noted["size"], noted["last"]
            self.lost = [LostPart(*fields) for fields in noted["lost"]]
        self.file: BinaryIO = self.path.open("r+b")
        self.back()
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def back(self) -> None:
        """Truncates the file to what is noted."""
        self.file.truncate(self.num_bytes)
        self.file.seek(self.num_bytes)

    def lose(self, lost: LostPart) -> None:
        """Notes a lost stretch; adjacent ones with the same reason are joined."""
        last = self.lost[-1] if self.lost else None
        if last and last.why == lost.why and abs(last.at + last.seconds - lost.at) < 0.01:
            lost = replace(self.lost.pop(), seconds=round(last.seconds + lost.seconds, 3))
        self.lost.append(replace(lost, at=round(lost.at, 3), seconds=round(lost.seconds, 3)))

    def note(self) -> None:
        """Commits what was written since the last note."""
        self.file.flush()
        self.done += 1
        self.num_bytes = self.file.tell()
        lost = [[one.at, one.seconds, one.why] for one in self.lost]
        state = {"plan": self.plan, "done": self.done, "size": self.num_bytes, "last": self.last, "lost": lost}
        fresh = self.notes.with_name(f"{self.notes.name}~")
        fresh.write_text(json.dumps(state))
        fresh.replace(self.notes)


def _fetch_parts(fetcher: Fetcher, plan: list[MediaSegment], target: _Target, max_bytes: int) -> None:
    at = sum(part.seconds for part in plan[: target.done])
    for number, part in enumerate(plan[target.done :], target.done):
        head = plan[target.last].init if target.last is not None else None
        why = GAP if part.gap else _append(fetcher, part, head, target, max_bytes)
        if why:
            target.back()
            target.lose(LostPart(at, part.seconds, why))
        else:
            target.last = number
        at += part.seconds
        target.note()


def _append(fetcher: Fetcher, part: MediaSegment, head: InitSection | None, target: _Target, max_bytes: int) -> str | None:
    """Writes a segment, after its init section if that changed. Returns why it is missing, or None."""
    what = "its head is"
    try:
        if part.init and part.init != head:
            if part.init == target.missing:
                raise NotFound("not there")
            target.missing = part.init
            _copy(fetcher, part.init.url, part.init.range, target, max_bytes)
            target.missing = None
        what = "it is"
        _copy(fetcher, part.url, part.range, target, max_bytes)
    except NotFound as error:
        return f"{what} not there ({error.detail.partition(' at ')[0]})" if error.detail != "not there" else f"{what} not there"
    return None


def _copy(fetcher: Fetcher, url: str, span: ByteRange | None, target: _Target, max_bytes: int) -> None:
    """Appends one resource. Raises NotFound where it is missing or no media."""
    headers = {"Range": f"bytes={span.start}-{span.end - 1}"} if span else {}
    start = target.file.tell()
    for attempt in range(fetcher.settings.retries + 1):
        try:
            with fetcher.open(url, headers=headers) as reply:
                for block in _wanted(fetcher, reply, span, max_bytes - start):
                    target.file.write(block)
            if span and target.file.tell() - start != span.end - span.start:
                raise NotFound(f"bytes {span.start} to {span.end} are not there, at {reply.url}")
            return
        except BrokenBody:
            target.file.truncate(start)
            target.file.seek(start)
            if attempt == fetcher.settings.retries:
                raise
            fetcher.pause(attempt)


def _wanted(fetcher: Fetcher, reply: Reply, span: ByteRange | None, room: int) -> Iterator[bytes]:
    """The requested bytes of the response: a server without range support sends the whole file."""
    if reply.status == 416 or (span and reply.status == 206 and content_range(reply)[0] != span.start):
        raise NotFound(f"HTTP {reply.status}, no such bytes, at {reply.url}")
    if (span.end - span.start if span else 1) > room:
        raise TooLarge(f"more than the limit in the parts of the stream, at {reply.url}")
    skip = span.start if span and reply.status == 200 else 0
    blocks = _first(reply.blocks(sys.maxsize), skip + span.end - span.start) if span else reply.blocks(room)
    first = next(blocks, b"")
    if "html" in reply.content_type and first.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        fetcher.stop_at_bot_page(reply, first)
        raise NotFound(f"a web page at {reply.url}")
    for block in chain([first], blocks):
        yield block[skip:]
        skip -= min(skip, len(block))


def _first(blocks: Iterator[bytes], limit: int) -> Iterator[bytes]:
    """The first so many bytes; the rest is not read."""
    while limit > 0 and (block := next(blocks, b"")):
        yield block[:limit]
        limit -= len(block)
