"""The pictures that a player would show at given moments: decoded in one pass, one picture in memory.

Unlike for audio, time stamps are trusted: where they are wrong, another picture is taken. The first time stamp of the audio is
sample 0 of the recording.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain

import av
from av.codec.context import Flags
from av.stream import Disposition
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from voxmill.operators.decode.byte_source import Broken
from voxmill.operators.decode.container import OpenFile, Undecodable, only_stream, open_container

SLACK = 1.0
"""Seconds by which the first picture may start late, and the last one may be extended."""

FAR = 10.0
"""libavformat seeks only to moments later than this (s)."""

MOST_PER_SECOND = 1000
"""Decoding stops where a second of video has more pictures than this."""


class Unwatchable(Undecodable):
    """The file has no usable video; `reason` is one of `frames.*`."""


@dataclass(slots=True)
class Video(OpenFile):
    """An open file and its video stream."""

    stream: VideoStream
    origin: float
    """Time stamp of the recording's first sample (s)."""
    failures: int = 0
    """Number of failed reads or decodes so far."""

    @property
    def codec(self) -> VideoCodecContext:
        """The decoder of the stream."""
        return self.stream.codec_context


@contextmanager
def open_video(uri: str, max_pixels: int, track: int | None = None) -> Iterator[Video]:
    """Opens the video of a file. `track`: the audio stream in use, from 1, whose first sample is that of the recording.

    Raises Unwatchable, and Undecodable where the file is no media; errors of the storage pass through.
    """
    with open_container(uri) as (container, source):
        with source:
            heard = container.streams.audio[track - 1 : track] if track else ()
            sound = heard[0] if heard else container.streams.best("audio")
        stream = only_stream(container, VideoStream, Unwatchable, "frames.no_video")
        if stream.disposition & Disposition.attached_pic:  # a video stream to libavformat, and none to us
            raise Unwatchable("frames.no_video", "a cover picture only")
        codec = stream.codec_context
        if codec.width * codec.height > max_pixels:
            raise Unwatchable("frames.too_large", f"{codec.width}x{codec.height}")
        codec.options = {"max_pixels": str(max_pixels)}  # also where the size changes on the way
        started = sound.start_time if sound else None
        origin = float(started * sound.time_base) if sound and sound.time_base and started is not None else 0.0
        yield Video(container, source, stream, origin)


def pictures_at(video: Video, moments: Sequence[float]) -> Iterator[tuple[int, VideoFrame]]:
    """Pairs (index, picture) of the moments (s, ascending, from the first sample) at which the video has a picture."""
    if not moments:
        return
    pictures, at = _from(video, moments[0]), 0
    held: tuple[float, VideoFrame] | None = None
    for time, frame in pictures:
        if held is None:
            while at < len(moments) and moments[at] < time - SLACK:
                at += 1
            held = time, frame
        while at < len(moments) and moments[at] < time:
            yield at, held[1]
            at += 1
        held = time, frame
        if at == len(moments):
            return
    if held is not None:
        lasts = float(held[1].duration * held[1].time_base) if held[1].duration and held[1].time_base else 0.0
        while at < len(moments) and moments[at] <= held[0] + lasts + SLACK:
            yield at, held[1]
            at += 1


def _from(video: Video, moment: float) -> Iterator[tuple[float, VideoFrame]]:
    """Pictures with their times, starting before `moment`: at a seek point if possible, else at the start."""
    if moment > FAR and video.stream.time_base:
        try:
            with video.source:
                video.container.seek(int((moment + video.origin) / video.stream.time_base), stream=video.stream)
            sought = _decoded(video)
            first = next(sought, None)
            if first is not None and first[0] <= moment:
                yield from chain([first], sought)
                return
            with video.source:
                video.container.seek(0)
        except Broken:
            video.failures += 1
        video.codec.flush_buffers()
    yield from _decoded(video)


def _decoded(video: Video) -> Iterator[tuple[float, VideoFrame]]:
    """Every picture that can be decoded, with its time; failures are counted. Ends where reading fails."""
    count, begin = 0, None
    packets = video.container.demux(video.stream)
    while True:
        try:
            with video.source:
                packet = next(packets, None)
        except Broken:
            video.failures += 1
            return
        if packet is None:
            return
        try:
            with video.source:
                frames = video.codec.decode(packet if packet.size else None)
        except Broken:
            video.failures += 1
            continue
        for frame in frames:
            if frame.pts is None or frame.time_base is None:
                continue
            time, count = float(frame.pts * frame.time_base) - video.origin, count + 1
            begin = time if begin is None else begin
            if count > MOST_PER_SECOND * (time - begin + 1):
                video.failures += 1
                return
            yield time, frame


def jpeg(frame: VideoFrame, size: int, quality: int) -> tuple[bytes, int, int]:
    """(JPEG, width, height): the shorter side `size` pixels, or less where the picture is smaller; never longer than four to one.

    `quality` is libavcodec's: 2 is best, 31 worst. The same picture gives the same bytes with one version of the library.
    """
    width, height = fitted_size(frame.width, frame.height, size)
    picture = frame.reformat(width, height, format="yuvj420p", interpolation="AREA", dst_color_range="JPEG")
    encoder = av.CodecContext.create("mjpeg", "w")
    assert isinstance(encoder, VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuvj420p"
    encoder.time_base, encoder.thread_count = Fraction(1, 25), 1
    encoder.flags |= Flags.qscale | Flags.bitexact
    encoder.global_quality = quality * 118  # FF_QP2LAMBDA
    picture.pts, picture.time_base = 0, Fraction(1, 25)
    blob = b"".join(bytes(packet) for packet in [*encoder.encode(picture), *encoder.encode(None)])
    return blob, width, height


def fitted_size(width: int, height: int, size: int) -> tuple[int, int]:
    """Width and height of the stored picture; even, as 4:2:0 chroma subsampling needs.

    >>> fitted_size(1280, 720, 224), fitted_size(64, 48, 224), fitted_size(9000, 100, 224)
    ((398, 224), (64, 48), (400, 100))
    """
    scale = min(1.0, size / min(width, height))
    short = min(width, height) * scale
    return tuple(max(2, round(min(side * scale, 4 * short) / 2) * 2) for side in (width, height))  # type: ignore[return-value]
