"""`MediaFile`: an open file and its chosen audio stream, across the files that may be concatenated in it."""

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
from voxmill.operators.decode.chained_files import find_stretches
from voxmill.operators.decode.container import OpenFile, Undecodable, only_stream, open_bytes, open_source
from voxmill.operators.decode.lost_audio import LostAudio, stated_seconds
from voxmill.operators.decode.tracks import Track, matching_track, tracks_of

_libraries = av.library_versions
DECODER = "4 " + " ".join(
    name + ".".join(map(str, _libraries[name])) for name in ("libavformat", "libavcodec", "libswresample") if name in _libraries
)
"""Version of the decoded samples: ours (raise it when they change) and those of FFmpeg's libraries."""

LATE = frozenset({"mpegts", "mpeg", "flv"})
"""Containers whose streams may start after the part that libavformat probes."""

Choose = Callable[[Sequence[Track]], int]


@dataclass(slots=True)
class OpenStretch(OpenFile):
    """An open stretch of a file (most files have one), and the audio stream of it that is used."""

    stream: AudioStream
    claimed: float | None
    """Seconds of audio that its header or index states; None: not stated, or not credible."""

    @property
    def codec(self) -> AudioCodecContext:
        """The decoder of the stream."""
        return self.stream.codec_context


@dataclass(slots=True)
class MediaFile:
    """An open file: its stretches one after the other. The first with audio is open from the beginning."""

    raw: IO[bytes]
    uri: str
    num_bytes: int
    stretches: list[tuple[int, int]]
    track: int | None = None
    """Number of the audio stream, from 1; None: libavformat's best. In later stretches, the one most like it."""
    choose: Choose | None = None
    """Chooses the track where the first stretch has several."""
    tracks: tuple[Track, ...] = ()
    """All audio streams of the first stretch, in its order."""
    link: OpenStretch = field(init=False)
    """The stretch being read. Its codec still answers for rate and name after it was closed."""
    lost: LostAudio = field(default_factory=LostAudio)
    closed_bytes: int = 0
    """Bytes of stretches that could not be opened."""
    _begun: tuple[int, int] = (0, 0)
    _late: bool = False
    """Whether the last opened container is one of `LATE`."""
    _stack: ExitStack = field(default_factory=ExitStack)

    @property
    def codec(self) -> AudioCodecContext:
        """The decoder of the open stretch."""
        return self.link.codec

    @property
    def stream(self) -> AudioStream:
        """The audio stream of the open stretch."""
        return self.link.stream

    @property
    def container(self) -> InputContainer:
        """The container of the open stretch."""
        return self.link.container

    @property
    def container_name(self) -> str:
        """Short name of its format, such as `mp4`."""
        return self.link.container_name

    def open_stretches(self) -> Iterator[OpenStretch]:
        """All stretches with audio, each open until the next one is asked for. Iterate once."""
        yield self.link
        while self.stretches:
            try:
                self._open()
            except Undecodable as error:
                self._note_closed(error)
                continue
            yield self.link

    def open_first(self) -> None:
        """Opens the first stretch that can be decoded. Raises Undecodable with the fault of the very first stretch."""
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
        """Counts a stretch that cannot be opened as lost, unless it has no audio anyway."""
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
        container, _ = self._stack.enter_context(open_source(source, self.uri, far))
        self._late = container.format.name in LATE
        with source:
            number = self._number(tracks_of(container))
            chosen = container.streams.audio[number - 1] if number else None
            stream = only_stream(container, AudioStream, Undecodable, "decode.not_audio", chosen)
        link = OpenStretch(container, source, stream, None)
        link.claimed = stated_seconds(container, stream, link.container_name, source)
        return link

    def _number(self, tracks: tuple[Track, ...]) -> int | None:
        if self.tracks:
            return matching_track(tracks, self.tracks[self.track - 1], self.track) if self.track else None
        self.tracks = tracks
        if self.choose and len(tracks) > 1:
            self.track = self.choose(tracks)
        if self.track and self.track > len(tracks):
            self.track = None
        return self.track

    def close(self) -> None:
        """Closes the stretch that is open."""
        self._stack.close()


@contextmanager
def open_media(uri: str, track: int | None = None, choose: Choose | None = None) -> Iterator[MediaFile]:
    """Opens the audio stream with number `track` (from 1), or the one that `choose` names, else libavformat's best.

    Raises Undecodable. Errors of the storage (OSError and those of the file system) pass through.
    """
    with open_bytes(uri) as raw:
        size = raw.seek(0, 2)
        media = MediaFile(raw, uri, size, find_stretches(raw, size), track, choose)
        try:
            media.open_first()
            yield media
        finally:
            media.close()
