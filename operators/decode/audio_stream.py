"""A media file and the sound in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import IO

import av
from av.audio.codeccontext import AudioCodecContext
from av.audio.stream import AudioStream
from av.container import InputContainer

from voxmill.operators.decode.byte_source import ByteSource
from voxmill.operators.decode.chained_files import links
from voxmill.operators.decode.container import OpenFile, Undecodable, only, open_bytes, opened
from voxmill.operators.decode.lost_audio import LostAudio, claimed
from voxmill.operators.decode.tracks import Track, alike, tracks_of

_libraries = av.library_versions
DECODER = "4 " + " ".join(
    name + ".".join(map(str, _libraries[name])) for name in ("libavformat", "libavcodec", "libswresample") if name in _libraries
)
"""Version of the samples that decoding yields: ours (bump it when they change) and those of the libraries."""

LATE = frozenset({"mpegts", "mpeg", "flv"})
"""Containers whose streams may begin after the part that libavformat looks at."""

Choose = Callable[[Sequence[Track]], int]


@dataclass(slots=True)
class OpenStretch(OpenFile):
    """A stretch of a file that is open, and the one audio stream of it that is used."""

    stream: AudioStream
    claimed: float | None
    """Seconds of sound that its header or index promises."""

    @property
    def codec(self) -> AudioCodecContext:
        return self.stream.codec_context


@dataclass(slots=True)
class MediaFile:
    """An open file: one stretch after the other, of which the first with sound in it is open from the beginning."""

    raw: IO[bytes]
    uri: str
    num_bytes: int
    stretches: list[tuple[int, int]]
    track: int | None = None
    """Which stream of sound is used, counted from 1; None: what libavformat calls best. In later stretches, what is most like it."""
    choose: Choose | None = None
    """Names it where the first stretch has several."""
    tracks: tuple[Track, ...] = ()
    """All streams of sound of the first stretch, in its order."""
    link: OpenStretch = field(init=False)
    """The stretch that is being read. Its codec is asked for rates and names after it was closed, too."""
    lost: LostAudio = field(default_factory=LostAudio)
    closed_bytes: int = 0
    """Of stretches that could not be opened."""
    _begun: tuple[int, int] = (0, 0)
    _late: bool = False
    """The stretch that was opened last is of a kind whose streams are listed as they come."""
    _stack: ExitStack = field(default_factory=ExitStack)

    @property
    def codec(self) -> AudioCodecContext:
        return self.link.codec

    @property
    def stream(self) -> AudioStream:
        return self.link.stream

    @property
    def container(self) -> InputContainer:
        return self.link.container

    @property
    def container_name(self) -> str:
        return self.link.container_name

    def links(self) -> Iterator[OpenStretch]:
        """All stretches that hold sound, each open until the next one is asked for. To be asked once."""
        yield self.link
        while self.stretches:
            try:
                self._open()
            except Undecodable as error:
                self._note_closed(error)
                continue
            yield self.link

    def open_first(self) -> None:
        """Raises Undecodable where no stretch can be decoded, with what is wrong with the first."""
        failed: Undecodable | None = None
        while self.stretches:
            try:
                self._open()
                return
            except Undecodable as error:
                self._note_closed(error)
                failed = failed or error
        raise failed or Undecodable("decode.empty", "zero bytes")

    def _note_closed(self, error: Undecodable) -> None:
        """A stretch that cannot be opened; one without sound loses nothing."""
        if error.reason != "decode.not_audio":
            self.lost.failures += 1
            self.closed_bytes += self._begun[1] - self._begun[0]

    def _open(self) -> None:
        begin, end = self._begun = self.stretches.pop(0)
        try:
            self.link = self._link(begin, end)
        except Undecodable as error:
            if error.reason != "decode.not_audio" or not self._late:
                raise
            self.link = self._link(begin, end, far=True)

    def _link(self, begin: int, end: int, far: bool = False) -> OpenStretch:
        self._stack.close()
        self._late = False
        source = ByteSource(self.raw, begin, end)
        container, _ = self._stack.enter_context(opened(source, self.uri, far))
        self._late = container.format.name in LATE
        with source:
            number = self._number(tracks_of(container))
            chosen = container.streams.audio[number - 1] if number else None
            stream = only(container, AudioStream, Undecodable, "decode.not_audio", chosen)
        link = OpenStretch(container, source, stream, None)
        link.claimed = claimed(container, stream, link.container_name, source)
        return link

    def _number(self, tracks: tuple[Track, ...]) -> int | None:
        if self.tracks:
            return alike(tracks, self.tracks[self.track - 1], self.track) if self.track else None
        self.tracks = tracks
        if self.choose and len(tracks) > 1:
            self.track = self.choose(tracks)
        if self.track and self.track > len(tracks):
            self.track = None
        return self.track

    def close(self) -> None:
        self._stack.close()


@contextmanager
def open_media(uri: str, track: int | None = None, choose: Choose | None = None) -> Iterator[MediaFile]:
    """The sound stream of that number, counted from 1, or the one that `choose` names; else what libavformat calls best.

    Raises Undecodable; errors of the storage (OSError and the file system's own) pass.
    """
    with open_bytes(uri) as raw:
        size = raw.seek(0, 2)
        media = MediaFile(raw, uri, size, links(raw, size), track, choose)
        try:
            media.open_first()
            yield media
        finally:
            media.close()
