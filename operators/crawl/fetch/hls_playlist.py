"""HTTP Live Streaming playlists (RFC 8216): which streams a master playlist offers, which segments a media playlist has.

Own parser: the available libraries split attribute lists by regular expression and do not know EXT-X-DEFINE, and whether a
stream is encrypted must not be guessed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qs, urlsplit

from voxmill.operators.crawl.facts.crawl_errors import Unreadable
from voxmill.operators.crawl.facts.urls import absolute

_NAME = re.compile(r"\s*([A-Z0-9-]+)=")
_QUOTED = re.compile(r'"([^"]*)"\s*')
_BARE = re.compile(r'[^",]*')
_VARIABLE = re.compile(r"\{\$([a-zA-Z0-9_-]+)\}")


@dataclass(frozen=True, slots=True)
class ByteRange:
    """Bytes `start` to `end` (excluded) of a resource."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class InitSection:
    """Media initialization section (EXT-X-MAP): the header that the segments after it need."""

    url: str
    range: ByteRange | None = None


@dataclass(frozen=True, slots=True)
class MediaSegment:
    """One segment of a media playlist."""

    url: str
    seconds: float
    """Duration by EXTINF (s)."""
    range: ByteRange | None = None
    init: InitSection | None = None
    gap: bool = False
    """Marked as missing by the publisher (EXT-X-GAP)."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One quality of a stream (EXT-X-STREAM-INF)."""

    url: str
    bandwidth: int = 0
    codecs: tuple[str, ...] = ()
    height: int | None = None
    audio: str | None = None
    """Group of the renditions that hold its audio."""

    @property
    def is_audio(self) -> bool:
        """Whether all its codecs are audio and it has no resolution."""
        return self.height is None and bool(self.codecs) and all(c.lower().startswith(_SOUND) for c in self.codecs)


_SOUND = ("mp4a", "mp3", "ac-3", "ec-3", "ac-4", "opus", "flac", "alac", "dts", "vorbis")


@dataclass(frozen=True, slots=True)
class Rendition:
    """An audio track of a stream (EXT-X-MEDIA, TYPE=AUDIO)."""

    group: str
    url: str | None
    """None: the audio is in the variant itself."""
    language: str | None
    default: bool
    autoselect: bool
    described: bool
    """An audio description for blind people."""


@dataclass(frozen=True, slots=True)
class Playlist:
    """A parsed playlist: a master has `variants`, a media playlist has `segments`."""

    variants: tuple[Variant, ...] = ()
    renditions: tuple[Rendition, ...] = ()
    segments: tuple[MediaSegment, ...] = ()
    ended: bool = False
    """The stream is complete (EXT-X-ENDLIST); else it is live."""
    encryption: str | None = None
    """METHOD of the first EXT-X-KEY that encrypts; None: not encrypted."""
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_master(self) -> bool:
        """Whether it lists variants of a stream, not segments."""
        return bool(self.variants)

    @property
    def seconds(self) -> float:
        """Sum of the segment durations (s)."""
        return sum(segment.seconds for segment in self.segments)

    @property
    def least_seconds(self) -> float:
        """Lower bound of the duration (s): old playlists round every segment to whole seconds."""
        return sum(s.seconds - 0.5 if s.seconds >= 1 and s.seconds.is_integer() else s.seconds for s in self.segments)


def attributes(text: str) -> dict[str, str]:
    """An attribute list (RFC 8216, 4.2) without its quotes. Raises Unreadable on bad grammar or a repeated name.

    >>> attributes('METHOD=AES-128,URI="k?a=1,METHOD=NONE",IV=0x1F')
    {'METHOD': 'AES-128', 'URI': 'k?a=1,METHOD=NONE', 'IV': '0x1F'}
    """
    found: dict[str, str] = {}
    at = 0
    while text[at:].strip():
        name = _NAME.match(text, at)
        if not name:
            raise Unreadable(f"no attribute list: {text[:100]}")
        value = _QUOTED.match(text, name.end()) or _BARE.match(text, name.end())
        assert value
        if name[1] in found or text[value.end() : value.end() + 1] not in ("", ","):
            raise Unreadable(f"no attribute list: {text[:100]}")
        found[name[1]] = value[1] if value.re is _QUOTED else value[0].strip()
        at = value.end() + 1
    return found


def read_playlist(body: bytes, url: str, variables: Mapping[str, str] | None = None) -> Playlist:
    """Parses a master or media playlist. `variables` are those of the master that led here. Raises Unreadable."""
    text = body.decode("utf-8-sig", "replace").lstrip()
    if not text.startswith("#EXTM3U"):
        raise Unreadable(f"no playlist at {url}")
    return _Reading(url, variables or {}).read(text)


class _Reading:
    """Parser state."""

    def __init__(self, url: str, imported: Mapping[str, str]) -> None:
        self.url = url
        self.imported = imported
        self.variables: dict[str, str] = {}
        self.variants: list[Variant] = []
        self.renditions: list[Rendition] = []
        self.segments: list[MediaSegment] = []
        self.encryption: str | None = None
        self.init: InitSection | None = None
        self.variant: Variant | None = None
        self.part = MediaSegment("", 0.0)
        self.span: str | None = None
        self.ended = False

    def read(self, text: str) -> Playlist:
        for line in map(str.strip, re.split(r"\r\n|\r|\n", text)):
            if line.startswith("#EXT"):
                name, _, value = line.partition(":")
                self._tag(name, value)
            elif line and not line.startswith("#"):
                self._address(self._filled(line))
        return Playlist(
            tuple(self.variants),
            tuple(self.renditions),
            tuple(self.segments),
            self.ended,
            self.encryption,
            dict(self.variables),
        )

    def _tag(self, name: str, value: str) -> None:
        if name in ("#EXT-X-KEY", "#EXT-X-SESSION-KEY"):
            self._key(value)
        elif name == "#EXTINF":
            self.part = replace(self.part, seconds=_seconds(value.partition(",")[0]))
        elif name == "#EXT-X-GAP":
            self.part = replace(self.part, gap=True)
        elif name == "#EXT-X-BYTERANGE":
            self.span = value
        elif name == "#EXT-X-MAP":
            said = self._attributes(value)
            span = _range(said["BYTERANGE"], 0) if "BYTERANGE" in said else None
            self.init = InitSection(absolute(self.url, said.get("URI", "")), span)
        elif name == "#EXT-X-DEFINE":
            self._define(attributes(value))
        elif name == "#EXT-X-STREAM-INF":
            self.variant = _variant(self._attributes(value))
        elif name == "#EXT-X-MEDIA":
            self._media(self._attributes(value))
        elif name == "#EXT-X-ENDLIST":
            self.ended = True

    def _key(self, value: str) -> None:
        """Notes the encryption method; an unreadable key counts as encrypted."""
        try:
            method = self._attributes(value).get("METHOD", "unnamed")
        except Unreadable:
            method = "unreadable"
        if method != "NONE":
            self.encryption = self.encryption or method

    def _define(self, said: Mapping[str, str]) -> None:
        if "NAME" in said:
            self.variables[said["NAME"]] = said.get("VALUE", "")
        elif "IMPORT" in said:
            self.variables[said["IMPORT"]] = self.imported.get(said["IMPORT"], "")
        elif "QUERYPARAM" in said:
            name = said["QUERYPARAM"]
            self.variables[name] = parse_qs(urlsplit(self.url).query).get(name, [""])[0]

    def _media(self, said: Mapping[str, str]) -> None:
        if said.get("TYPE") == "AUDIO":
            self.renditions.append(
                Rendition(
                    group=said.get("GROUP-ID", ""),
                    url=absolute(self.url, said["URI"]) if said.get("URI") else None,
                    language=said.get("LANGUAGE"),
                    default=said.get("DEFAULT") == "YES",
                    autoselect=said.get("AUTOSELECT") == "YES",
                    described="describes-video" in said.get("CHARACTERISTICS", ""),
                )
            )

    def _address(self, line: str) -> None:
        address = absolute(self.url, line)
        if self.variant is not None:
            self.variants.append(replace(self.variant, url=address))
            self.variant = None
            return
        before = self.segments[-1] if self.segments else None
        after = before.range.end if before and before.range and before.url == address else 0
        span = _range(self.span, after) if self.span is not None else None
        self.segments.append(replace(self.part, url=address, range=span, init=self.init))
        self.part, self.span = MediaSegment("", 0.0), None

    def _attributes(self, value: str) -> dict[str, str]:
        return {name: self._filled(said) for name, said in attributes(value).items()}

    def _filled(self, text: str) -> str:
        """Substitutes variables (EXT-X-DEFINE); undefined ones stay as written."""
        return _VARIABLE.sub(lambda match: self.variables.get(match[1], match[0]), text)


def choose_stream(playlist: Playlist, language: str | None = None) -> str:
    """The address of the audio of a master playlist: in `language` if offered, without video if possible.

    Else the best variant of at most 480 lines, else the one with the fewest lines.
    """
    best = max(playlist.variants, key=lambda v: v.bandwidth)
    groups = [v.audio for v in sorted(playlist.variants, key=lambda v: -v.bandwidth) if v.audio]
    offered = [r for group in dict.fromkeys(groups) for r in playlist.renditions if r.group == group]
    if offered:
        rendition = max(offered, key=lambda r: _fitness(r, language))  # of equals the first: that of the best variant
        if rendition.url:
            return rendition.url
        in_variant = [v for v in playlist.variants if v.audio == rendition.group]
        return _cheapest(in_variant).url
    sound = [v for v in playlist.variants if v.is_audio]
    if sound:
        return max(sound, key=lambda v: v.bandwidth).url
    return _cheapest(playlist.variants).url if best.height is not None else best.url


def _fitness(rendition: Rendition, language: str | None) -> tuple[bool, bool, bool, bool, bool]:
    asked, said = (language or "").lower(), (rendition.language or "").lower()
    same = bool(asked) and asked.split("-")[0] == said.split("-")[0]
    return same, not rendition.described, same and asked == said, rendition.default, rendition.autoselect


def _cheapest(variants: tuple[Variant, ...] | list[Variant]) -> Variant:
    small = [v for v in variants if v.height is None or v.height <= 480]
    return max(small, key=lambda v: v.bandwidth) if small else min(variants, key=lambda v: (v.height or 0, v.bandwidth))


def join_ranges(segments: tuple[MediaSegment, ...]) -> Iterator[MediaSegment]:
    """The segments, with neighbouring byte ranges of one file joined into one request."""
    last: MediaSegment | None = None
    for segment in segments:
        if last and last.range and segment.range and _follows(last, segment):
            joined = ByteRange(last.range.start, segment.range.end)
            last = replace(last, seconds=last.seconds + segment.seconds, range=joined)
        else:
            if last:
                yield last
            last = segment
    if last:
        yield last


def _follows(one: MediaSegment, other: MediaSegment) -> bool:
    assert one.range
    assert other.range
    same = (one.url, one.init, one.gap) == (other.url, other.init, other.gap)
    return same and one.range.end == other.range.start and other.range.end - one.range.start <= _AT_ONCE


_AT_ONCE = 64 * 1024 * 1024
"""Most bytes of one request for joined segments."""


def _variant(said: Mapping[str, str]) -> Variant:
    size = re.fullmatch(r"\d+x(\d{1,9})", said.get("RESOLUTION", ""))
    bandwidth = said.get("AVERAGE-BANDWIDTH") or said.get("BANDWIDTH") or ""
    return Variant(
        url="",
        bandwidth=int(bandwidth) if re.fullmatch(r"[0-9]{1,18}", bandwidth) else 0,
        codecs=tuple(filter(None, (c.strip() for c in said.get("CODECS", "").split(",")))),
        height=int(size[1]) if size else None,
        audio=said.get("AUDIO"),
    )


def _seconds(text: str) -> float:
    """
    >>> _seconds("4.0"), _seconds("nan"), _seconds("-1")
    (4.0, 0.0, 0.0)
    """
    try:
        value = float(text)
    except ValueError:
        return 0.0
    return 0.0 if math.isnan(value) else max(0.0, value)


def _range(text: str, after: int) -> ByteRange:
    match = re.fullmatch(r"\s*([0-9]{1,18})(?:@([0-9]{1,18}))?\s*", text)
    if not match:
        raise Unreadable(f"no byte range: {text[:100]}")
    start = int(match[2]) if match[2] else after
    return ByteRange(start, start + int(match[1]))
