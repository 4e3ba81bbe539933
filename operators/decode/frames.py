"""Packets to decoded frames at the file's own rate, from any point of the file, sample by sample the same timeline.

The timeline of a recording is the count of its samples in the order of its packets. Time stamps do not define it: web files lie
in them, jump in them, and round them to milliseconds (Matroska) or 1/90000 s (MPEG-TS). A packet that cannot be decoded leaves
silence of its length, so that what follows keeps its place.

To start late without decoding what comes before, packets are counted, not decoded: libavformat tells a packet's duration, and
reading packets costs about a tenth of decoding them. Only where the place of a sample is the place of its byte (PCM), libavformat
seeks: elsewhere its seeking trusts time stamps, and a damaged file would read differently from the start and from the middle.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import chain

import av.error
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.packet import Packet

from voxmill.manifests.records import SAMPLE_RATE
from voxmill.operators.decode.media import Media

PREROLL = 1.0
"""Seconds decoded and dropped before the wanted start: a codec's state (bit reservoir, overlap, predictor) settles in them."""

HEAD = 10.0
"""Seconds at the start of a file that are always decoded, to see whether its packets hold what they promise."""

REGULAR = 8
"""Packets in a row that must have held what they promised before any is skipped."""

SEEKABLE = frozenset({"wav", "w64", "aiff"})


def frames(media: Media, start: int = 0) -> Iterator[tuple[int, AudioFrame]]:
    """`(position, frame)`, the position of the frame's first sample counted at the frame's own rate.

    `start` is in samples at 16 kHz; frames begin at least `PREROLL` before it, or at the file's first sample. Where the file
    cannot be read further, its audio ends.
    """
    before = start / SAMPLE_RATE - PREROLL
    if before > HEAD and media.container_name in SEEKABLE and media.codec.name.startswith("pcm_"):
        position, packets = _seek(media, before)
    else:
        position, packets = 0, media.container.demux(media.stream)
    yield from _Timeline(media, before, position).frames(packets)


class _Timeline:
    """Walks packets and keeps the count. Frames that end before `before` (seconds) are not yielded."""

    def __init__(self, media: Media, before: float, position: int) -> None:
        self.media, self.before, self.position = media, before, position
        self.begun = position > 0
        self.skipping = self.warming = False
        """Packets are being skipped; the decoder was flushed after that, and has yielded nothing since."""
        self.regular = 0
        self.usual = 0
        """Samples of the packet before."""
        self.lost = 0
        """Samples of undecodable packets that wait for a good one: silence is put only between sound and sound."""

    def frames(self, packets: Iterator[Packet[AudioStream]]) -> Iterator[tuple[int, AudioFrame]]:
        early = self.before > 0
        for packet in self._until_broken(packets):
            promised = packet_samples(packet, self.media.stream) if early and packet else None
            if promised and self._skippable(promised):
                self.position += promised
                self.usual = promised
                self.skipping = True
                continue
            if self.skipping:
                self.media.codec.flush_buffers()
                self.skipping, self.warming = False, True
            try:
                decoded = self.media.codec.decode(packet)  # None drains the decoder
            except av.error.FFmpegError:
                decoded = []
                self.media.failures += 1
            if not decoded:
                if packet and packet.size:
                    self._count_lost(packet_samples(packet, self.media.stream) or self.usual)
                self.regular = 0
                continue
            self.usual = sum(frame.samples for frame in decoded)
            self.regular = self.regular + 1 if promised == self.usual else 0
            for frame in (*_silence(decoded[0], self.lost), *decoded) if self.lost else decoded:
                self.position += frame.samples
                if not early or self.position > self.before * frame.sample_rate:
                    early = False
                    yield self.position - frame.samples, frame
            self.begun, self.warming, self.lost = True, False, 0

    def _until_broken(self, packets: Iterator[Packet[AudioStream]]) -> Iterator[Packet[AudioStream] | None]:
        """All packets, with the empty one that drains the decoder; where reading fails, None takes its place."""
        try:
            yield from packets
        except av.error.FFmpegError:
            self.media.failures += 1
            yield None

    def _skippable(self, promised: int) -> bool:
        """Whether the packet may be counted instead of decoded: trusted, and early enough."""
        rate = self.media.codec.sample_rate
        trusted = self.skipping or (self.regular >= REGULAR and self.position >= HEAD * rate)
        return trusted and (self.position + promised) / rate <= self.before

    def _count_lost(self, samples: int) -> None:
        if self.warming:
            self.position += samples  # a decoder that was just flushed may need a packet before it yields
        elif self.begun:
            self.lost += samples


def packet_samples(packet: Packet[AudioStream], stream: AudioStream) -> int | None:
    """How many samples the packet holds, at the decoder's rate; None where the container does not say it exactly."""
    codec, duration, rate = stream.codec_context, packet.duration, stream.codec_context.sample_rate
    if not duration or not stream.time_base or not rate:
        return None
    seconds, parts = stream.time_base.numerator, stream.time_base.denominator
    samples, rest = divmod(duration * seconds * rate, parts)
    if not rest and seconds * rate <= parts:  # exact, and no coincidence: a tick of the clock is a sample at most
        return samples
    if codec.name in {"opus", "libopus"} and duration * seconds * 200 % parts == 0:
        return samples  # Opus packets last multiples of 2.5 ms; a rounded 2.5, 7.5, … ms is no multiple of 5 ms
    if codec.frame_size and abs(duration * seconds * rate - codec.frame_size * parts) < max(parts, seconds * rate):
        return codec.frame_size
    return None


def _seek(media: Media, before: float) -> tuple[int, Iterator[Packet[AudioStream]]]:
    """The last packet that starts before `before` seconds: its place in samples, and the packets from it on.

    Where the file does not obey, the place is 0 and the packets are all of them.
    """
    stream, rate = media.stream, media.codec.sample_rate
    target = int(before * rate)
    try:
        origin = next(media.container.demux(stream)).pts
        if origin is not None and stream.time_base == Fraction(1, rate):
            media.container.seek(origin + target, stream=stream)
            packets = media.container.demux(stream)
            first = next(packets)
            if first.pts is not None and 0 <= first.pts - origin <= target:
                return first.pts - origin, chain([first], packets)
    except (av.error.FFmpegError, StopIteration):
        pass
    media.container.seek(0)
    return 0, media.container.demux(stream)


def _silence(like: AudioFrame, samples: int) -> Iterator[AudioFrame]:
    """Frames of zeros, a second long at most, that fit between frames like this one."""
    values = like.to_ndarray()
    channels = len(like.layout.channels)
    planes, width = (channels, 1) if like.format.is_planar else (1, channels)
    for begin in range(0, samples, like.sample_rate):
        length = min(like.sample_rate, samples - begin)
        zeros = np.full((planes, length * width), 128 if values.dtype == np.uint8 else 0, values.dtype)
        frame = AudioFrame.from_ndarray(zeros, like.format.name, like.layout.name)
        frame.sample_rate = like.sample_rate
        yield frame
