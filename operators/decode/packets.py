"""Packets to decoded frames at the rate of the file, starting anywhere, always on the same sample timeline.

The timeline of a recording counts its samples in packet order. Time stamps do not define it: web files have wrong, jumping or
rounded ones (milliseconds in Matroska, 1/90000 s in MPEG-TS). A packet that cannot be decoded leaves silence of its length, so
that what follows keeps its place.

To start late, earlier packets are counted, not decoded: libavformat tells a packet's duration, and reading packets costs about a
tenth of decoding them. Seeking is used only for PCM, where a sample's byte is known: elsewhere seeking trusts time stamps, and a
damaged file would read differently from its start and from its middle.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from itertools import chain
from typing import NamedTuple

import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.packet import Packet

from voxmill.manifests.records import SAMPLE_RATE
from voxmill.operators.decode.audio_stream import MediaFile, OpenStretch
from voxmill.operators.decode.byte_source import Broken
from voxmill.operators.decode.container import Undecodable
from voxmill.operators.decode.finite_samples import is_readable, repair_samples
from voxmill.operators.decode.lost_audio import HOLE, LEAST, LostAudio

PREROLL = 1.0
"""Seconds decoded and dropped before the wanted start, in which the state of a codec (bit reservoir, overlap) settles."""

HEAD = 10.0
"""Seconds at the start of a file that are always decoded, to check the durations that its packets state."""

NEVER_SKIPPED = int((HEAD + PREROLL) * SAMPLE_RATE)
"""Reads that start up to this sample decode every packet from the first one on."""

REGULAR = 8
"""Packets in a row that must have held the stated number of samples before any is skipped."""

SEEKABLE = frozenset({"wav", "w64", "aiff"})

RATES = (1_000, 6_144_000)
"""Credible sampling rates (Hz); the upper end is the fastest DSD."""

MOST_CHANNELS = 64

MORE_PACKETS = 100_000
"""Packets allowed beyond one per byte; a demuxer that gives more is looping."""

TAGS = frozenset({b"ID3", b"TAG", b"APE"})
"""First bytes of packets that are tags between two joined files, not audio."""

MOST_SILENT = 3600
"""Most seconds of silence that undecodable packets in a row become."""

HOLES = {"matroska": (0.5, 600.0), "mp4": (0.5, 600.0), "mpegts": (0.5, 120.0)}
"""Containers whose time stamps reveal missing audio, and the credible length of such a gap (s, s). MPEG-TS starts a new clock
at a splice, and a damaged time stamp may be hours ahead."""


class FramePosition(NamedTuple):
    """Where a frame starts on the timeline."""

    base: int
    """Sample at 16 kHz at which its run starts. A run ends where rate, format or layout changes, and with a stretch."""
    position: int
    """Samples from there, at the rate of the frame."""


def decode_frames(media: MediaFile, start: int = 0) -> Iterator[tuple[FramePosition, AudioFrame]]:
    """Decoded frames with their positions, from at least `PREROLL` before sample `start` (at 16 kHz) or the start of the file.

    Audio ends where a stretch cannot be read further. What is not decoded is counted in `media.lost`, completely if all was read
    from sample 0 on. Raises Undecodable where the stream states an impossible rate or number of channels.
    """
    before, base = start / SAMPLE_RATE - PREROLL, 0
    alone = len(media.stretches) == 0
    for link in media.open_stretches():
        position, packets = 0, link.container.demux(link.stream)
        if alone and before > HEAD and link.container_name in SEEKABLE and link.codec.name.startswith("pcm_"):
            position, packets = _seek(link, before)
        timeline = _Timeline(link, media.lost, before, FramePosition(base, position))
        yield from timeline.frames(packets)
        base = timeline.end
    if media.closed_bytes:
        of_sound = max(1, media.num_bytes - media.closed_bytes)
        media.lost.miss(media.closed_bytes / of_sound * base / SAMPLE_RATE, "or so, in parts that cannot be opened")


def is_plain(media: MediaFile) -> bool:
    """Whether samples have the same bits wherever decoding starts, unless the file is damaged: it is one stretch of PCM or FLAC.

    To be asked before anything is decoded.
    """
    name = media.codec.name
    return not media.stretches and (name.startswith("pcm_") or name == "flac")


def length_16k(position: int, rate: int) -> int:
    """Number of samples at 16 kHz of `position` samples at `rate` (rounded up)."""
    return -(-position * SAMPLE_RATE // rate)


class _Timeline:
    """Walks the packets of a stretch and counts samples. Frames that end before `before` (s) are not yielded."""

    def __init__(self, link: OpenStretch, lost: LostAudio, before: float, place: FramePosition) -> None:
        self.link, self.books, self.before = link, lost, before
        self.base, self.position = place
        self.shape: tuple[int, str, str] | None = None
        self.begun = place.position > 0
        self.skipping = self.warming = False
        """`skipping`: packets are being skipped. `warming`: the decoder was flushed after that and has yielded nothing since."""
        self.regular = 0
        self.usual = 0
        """Samples of the last packet."""
        self.lost = self.broken = 0
        """`lost`: samples of packets that gave no audio; they become silence once a good packet follows. `broken`: those of
        them that the decoder refused."""
        self.heard = 0.0
        """Seconds of this stretch that were decoded or counted as missing."""
        self.next_pts: int | None = None
        self.credible = HOLES.get(link.container_name)
        self.kind = b""
        """Of the last packet; only kept where packets may be skipped."""

    @property
    def end(self) -> int:
        """Sample at 16 kHz at which the next run starts."""
        return self.base + (length_16k(self.position, self.shape[0]) if self.shape else 0)

    def frames(self, packets: Iterator[Packet[AudioStream]]) -> Iterator[tuple[FramePosition, AudioFrame]]:
        early = self._time(0) <= self.before
        for packet in self._until_broken(packets):
            promised = packet_samples(packet, self.link.stream) if packet else None
            self._note_hole(packet)
            if early and promised and self._skippable(packet, promised):
                self.position += promised
                self.usual = promised
                self.skipping = True
                continue
            if self.skipping:
                with self.link.source:
                    self.link.codec.flush_buffers()
                self.skipping, self.warming = False, True
            decoded = self._decoded(packet)
            if decoded is None:
                self.books.failures += 1
                self._count_lost(packet, promised, refused=True)
            elif not decoded:
                self._count_lost(packet, promised, refused=False)
            if not decoded:
                self.regular = 0
                continue
            self.usual = decoded[0].samples if len(decoded) == 1 else sum(frame.samples for frame in decoded)
            self.regular = self.regular + 1 if promised == self.usual else 0
            self._note_sound(packet, decoded)
            for frame in chain(self._silence(decoded[0]), decoded) if self.lost else decoded:
                self._begin_run(frame)
                self.position += frame.samples
                if not early or self._time(0) > self.before:
                    early = False
                    yield FramePosition(self.base, self.position - frame.samples), frame
            self.begun, self.warming, self.lost, self.broken = True, False, 0, 0
        self._finish()

    def _time(self, ahead: int) -> float:
        """Seconds from the start of the recording to `ahead` samples after the current position."""
        rate = self.shape[0] if self.shape else self.link.codec.sample_rate or SAMPLE_RATE
        return self.base / SAMPLE_RATE + (self.position + ahead) / rate

    def _begin_run(self, frame: AudioFrame) -> None:
        shape = (frame.sample_rate, frame.format.name, frame.layout.name)
        if shape != self.shape:
            if self.shape:
                self.base, self.position = self.end, 0
            self.shape = shape

    def _until_broken(self, packets: Iterator[Packet[AudioStream]]) -> Iterator[Packet[AudioStream] | None]:
        """All packets, with the empty one that drains the decoder; where reading fails, None takes its place."""
        for _ in range(self.link.source.num_bytes + MORE_PACKETS):
            try:
                with self.link.source:
                    packet = next(packets, None)
            except Broken:
                self.books.failures += 1
                break
            if packet is None:
                return
            yield packet
        yield None

    def _decoded(self, packet: Packet[AudioStream] | None) -> list[AudioFrame] | None:
        """Frames of a packet (None drains the decoder); None where it cannot be decoded."""
        try:
            with self.link.source:
                decoded = [repair_samples(frame, self.books) for frame in self.link.codec.decode(packet)]
        except Broken:
            return None
        for frame in decoded:
            rate, channels = frame.sample_rate, frame.layout.nb_channels
            if not (RATES[0] <= rate <= RATES[1] and 1 <= channels <= MOST_CHANNELS):
                if not self.begun:
                    raise Undecodable("decode.corrupt", f"the stream says {rate} Hz and {channels} channels")
                return None
        return decoded

    def _skippable(self, packet: Packet[AudioStream] | None, promised: int) -> bool:
        """Whether the packet may be counted instead of decoded: trusted, and early enough."""
        rate = self.link.codec.sample_rate
        trusted = self.skipping or (self.regular >= REGULAR and self.position >= HEAD * rate)
        if not trusted or self._time(promised) > self.before:
            return False
        kind = _kind(self.link.codec.name, packet)
        if kind != self.kind:
            self.kind, self.regular = kind, 0
            return False
        return True

    def _count_lost(self, packet: Packet[AudioStream] | None, promised: int | None, refused: bool) -> None:
        if packet is None or not packet.size or bytes(memoryview(packet)[:3]) in TAGS:
            return
        samples = promised or self.usual
        if self.warming:
            self.position += samples  # a decoder that was just flushed may need a packet before it yields
        elif self.begun:
            self.lost += samples
        if refused:
            self.broken += samples

    def _note_sound(self, packet: Packet[AudioStream] | None, decoded: list[AudioFrame]) -> None:
        """Accounts for a packet that gave audio, and for the lost ones before it."""
        rate = decoded[0].sample_rate
        if self.lost and not is_readable(decoded[0]):
            self.books.miss(self.lost / rate, "could not be decoded")
            self.heard += self.lost / rate
            self.lost = self.broken = 0
        elif self.lost:
            self.books.silent += min(self.lost / rate, MOST_SILENT)
        elif self.broken:
            self.books.miss(self.broken / rate, "at the start could not be decoded")
        self.heard += (self.usual + max(self.lost, self.broken)) / rate
        if self.before > HEAD:
            self.kind = _kind(self.link.codec.name, packet)

    def _silence(self, like: AudioFrame) -> Iterator[AudioFrame]:
        """Silence for what was lost before this frame; none where frames of its format cannot be made."""
        patches = _silence(like, min(self.lost, MOST_SILENT * like.sample_rate))
        while True:
            try:
                with self.link.source:
                    patch = next(patches, None)
            except Broken:
                return
            if patch is None:
                return
            yield patch

    def _note_hole(self, packet: Packet[AudioStream] | None) -> None:
        """Counts a gap of the time stamps as missing, in containers where they can be trusted for that."""
        if packet is None or packet.pts is None or self.credible is None or not (base := self.link.stream.time_base):
            return
        hole = float((packet.pts - self.next_pts) * base) if self.next_pts is not None else 0.0
        if self.credible[0] < hole < self.credible[1]:
            self.books.miss(hole, HOLE)
            self.heard += hole
        self.next_pts = packet.pts + (packet.duration or 0)

    def _finish(self) -> None:
        """At the end of a stretch: counts what waited for a good packet, and what the header states beyond."""
        rate = self.link.codec.sample_rate
        if self.broken and rate:
            self.books.miss(self.broken / rate, "at the end could not be decoded")
            self.heard += self.broken / rate
        missing = (self.link.claimed or 0.0) - self.heard
        if missing > LEAST:
            self.books.miss(missing, "promised by the header, and not there")


def packet_samples(packet: Packet[AudioStream], stream: AudioStream) -> int | None:
    """Number of samples in the packet, at the rate of the decoder; None where the container does not state it exactly."""
    codec, duration, rate = stream.codec_context, packet.duration, stream.codec_context.sample_rate
    if not duration or not rate or not (base := stream.time_base):  # each look at `time_base` makes a fraction
        return None
    seconds, parts = base.numerator, base.denominator
    samples, rest = divmod(duration * seconds * rate, parts)
    if not rest and seconds * rate <= parts:  # exact, and no coincidence: a tick of the clock is a sample at most
        return samples
    if codec.name in {"opus", "libopus"} and duration * seconds * 200 % parts == 0:
        return samples  # Opus packets last multiples of 2.5 ms; a rounded 2.5, 7.5, … ms is no multiple of 5 ms
    if codec.frame_size and abs(duration * seconds * rate - codec.frame_size * parts) < max(parts, seconds * rate):
        return codec.frame_size
    return None


def _kind(codec: str, packet: Packet[AudioStream] | None) -> bytes:
    """Header bits of MP3 and ADTS AAC packets that decide rate and number of samples; empty for other codecs."""
    if codec not in ("mp3", "mp3float", "mp2", "mp2float", "aac") or packet is None:
        return b""
    head = bytes(memoryview(packet)[:4])
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return b""
    if codec == "aac":
        return bytes((head[2] & 0x3D, head[3] & 0xC0))
    return bytes((head[1] & 0x1E, head[2] & 0x0C, head[3] & 0xC0 == 0xC0))


def _seek(media: OpenStretch, before: float) -> tuple[int, Iterator[Packet[AudioStream]]]:
    """Seeks to the last packet before `before` seconds: its position in samples, and the packets from it on.

    Where seeking fails, position 0 and all packets.
    """
    stream, rate = media.stream, media.codec.sample_rate
    target = int(before * rate)
    try:
        with media.source:
            origin = next(media.container.demux(stream)).pts
            if origin is not None and stream.time_base == Fraction(1, rate):
                media.container.seek(origin + target, stream=stream)
                packets = media.container.demux(stream)
                first = next(packets)
                if first.pts is not None and 0 <= first.pts - origin <= target:
                    return first.pts - origin, chain([first], packets)
    except Broken:
        pass
    with suppress(Broken), media.source:
        media.container.seek(0)
    return 0, media.container.demux(stream)


def _silence(like: AudioFrame, samples: int) -> Iterator[AudioFrame]:
    """Frames of zeros, a second long at most, that fit between frames like this one."""
    values = like.to_ndarray()
    channels = len(like.layout.channels)
    planes, width = (channels, 1) if like.format.is_planar else (1, channels)
    for begin in range(0, samples, like.sample_rate):
        length_16k = min(like.sample_rate, samples - begin)
        zeros = np.full((planes, length_16k * width), 128 if values.dtype == np.uint8 else 0, values.dtype)
        frame = AudioFrame.from_ndarray(zeros, like.format.name, like.layout.name)
        frame.sample_rate = like.sample_rate
        yield frame
