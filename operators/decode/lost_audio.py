"""Counts the audio of a file that is not decoded, so that accounts hold against what the file contains, not what could be read.

What a file contains is told by its packets (each states a duration, decodable or not), by gaps between time stamps, and by its
header or index (samples that a broken transfer did not bring). Headers that state hours that are not there are not believed:
neither placeholder lengths of live writers, nor more than `MOST`.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field

from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition

from voxmill.manifests.records import SAMPLE_RATE
from voxmill.operators.decode.byte_source import ByteSource

MOST = 48 * 3600.0
"""Longest duration that a header may state (s)."""

LEAST = 0.25
"""Seconds by which a stated duration may exceed the decoded one: encoders pad and round."""

HOLE = "missing between two time stamps"

PROMISE = 0.5, 0.001
"""Seconds, and share, by which the duration of a playlist may exceed the decoded one: it is rounded segment by segment."""

TELLING = frozenset(
    "wav w64 aiff caf au nistsphere flac mp4 matroska ape tta tak wv mpc mpc8 asf rm avi flv dsf wsd qoa dss xwma".split()  # noqa: SIM905
)
"""Containers whose header or index states the duration; for others libavformat guesses it from bit rates."""

WHOLE = frozenset({"matroska", "asf", "flv", "avi", "rm"})
"""Those of them that state the duration of the whole file, video included, not of the audio."""


@dataclass(slots=True)
class LostAudio:
    """Seconds that a file contains and that were not decoded, by cause."""

    failures: int = 0
    """Number of failed reads or decodes; what could be decoded is kept."""
    silent: float = 0.0
    """Seconds of silence in the timeline in place of undecodable audio."""
    missing: dict[str, float] = field(default_factory=dict)
    """Seconds absent from the timeline, by cause."""
    odd: int = 0
    """Samples that were NaN, infinite or far too large."""

    @property
    def any(self) -> bool:
        """Whether anything was found damaged or missing so far."""
        return bool(self.failures or self.silent or self.missing or self.odd)

    def miss(self, seconds: float, why: str) -> None:
        """Adds missing seconds under a cause."""
        if seconds > 0:
            self.missing[why] = self.missing.get(why, 0.0) + seconds

    def never_came(self, num_samples: int, why: str) -> None:
        """Adds samples known to be missing since the fetch; a gap in the time stamps that they explain counts once."""
        seconds = num_samples / SAMPLE_RATE
        if seconds and HOLE in self.missing:
            self.missing[HOLE] -= seconds
            if self.missing[HOLE] < LEAST:
                del self.missing[HOLE]
        self.miss(seconds, why)

    def promise(self, promised: int, heard: int) -> None:
        """Adds what a playlist stated (`promised` samples) beyond what was decoded (`heard`) or is counted as lost."""
        held = heard - min(self.silent_samples, heard) + self.num_samples
        short = (promised - held) / SAMPLE_RATE
        if short > max(PROMISE[0], PROMISE[1] * promised / SAMPLE_RATE):
            self.miss(short, "promised by the playlist, and not there")

    @property
    def silent_samples(self) -> int:
        """Samples (16 kHz) of silence in the timeline for undecodable packets."""
        return round(self.silent * SAMPLE_RATE)

    @property
    def num_samples(self) -> int:
        """All lost samples at 16 kHz, silent and missing."""
        return self.silent_samples + round(sum(self.missing.values()) * SAMPLE_RATE)

    @property
    def why(self) -> str | None:
        """One line about the causes, or None where nothing was lost."""
        said = [f"{seconds:.2f} s {why}" for why, seconds in self.missing.items()]
        if self.silent:
            said.append(f"{self.silent:.2f} s could not be decoded and are silent")
        if self.odd:
            said.append(f"{self.odd} samples were no numbers")
        return "; ".join(said) or None


def stated_seconds(container: InputContainer, stream: AudioStream, name: str, source: ByteSource) -> float | None:
    """Seconds of audio that the header or index states; None where nothing credible is stated."""
    if _complete(source) or (name == "mp3" and not _counted(source)):
        return None
    if name not in TELLING and name != "mp3":
        return None
    if name in WHOLE and any(s.type == "video" and not s.disposition & Disposition.attached_pic for s in container.streams):
        return None
    if stream.duration is not None and stream.time_base:
        seconds = float(stream.duration * stream.time_base)
    elif container.duration is not None:
        seconds = container.duration / 1_000_000
    else:
        return None
    codec = stream.codec_context
    bits = _BITS.match(codec.name)
    if bits and codec.sample_rate and codec.channels:
        second = codec.sample_rate * codec.channels * int(bits[1] or 8) // 8
        told = _told(source, name)
        seconds = told / second if told is not None else seconds
        if _unknown(round(seconds * second)):
            return None
    return seconds if 0 < seconds <= MOST else None


def _unknown(num_bytes: int) -> bool:
    """Whether a length is a placeholder that writers put before they know it."""
    return any(-65536 <= num_bytes - (1 << bits) <= 0 for bits in (31, 32, 63, 64))


def _complete(source: ByteSource) -> bool:
    """Whether a RIFF or IFF file has all the bytes that its header states: then a longer chunk length is wrong."""
    head = source.look(0, 24)
    if head[:4] in (b"RIFF", b"FORM", b"RIFX"):
        told = 8 + int.from_bytes(head[4:8], "little" if head[:4] == b"RIFF" else "big")
    elif head[:4] == b"riff":
        told = int.from_bytes(head[16:24], "little")
    else:
        return False
    return told <= source.num_bytes


_BITS = re.compile(r"pcm_(?:[suf](\d+)|mulaw|alaw)")


def _told(source: ByteSource, name: str) -> int | None:
    """Bytes of the data chunk as its header states them; libavformat only reports what is there."""
    if name == "wav":
        place, width, order = 12, 4, "little" if source.look(0, 4) != b"RIFX" else "big"
    elif name == "caf":
        place, width, order = 8, 8, "big"
    elif name == "w64":
        place, width, order = 40, 8, "little"
    else:
        return None
    mark = 16 if name == "w64" else 4
    for _ in range(1000):
        head = source.look(place, mark + width)
        if len(head) < mark + width:
            break
        size = int.from_bytes(head[mark:], "little" if order == "little" else "big")
        if head[:4] == b"data":
            return size - {"wav": 0, "caf": 4, "w64": mark + width}[name]
        place += -(-size // 8) * 8 if name == "w64" else mark + width + size + (size & 1 if name == "wav" else 0)
    return None


def _counted(source: ByteSource) -> bool:
    """Whether an MP3 states its number of frames (Xing, Info or VBRI header) and is not longer than stated."""
    head = source.look(0, 10)
    tag = sum((byte & 0x7F) << 7 * (3 - place) for place, byte in enumerate(head[6:10])) + 10 if head[:3] == b"ID3" else 0
    first = source.look(tag, 4096)
    places = [first.find(mark) for mark in (b"Xing", b"Info") if mark in first]
    if not places:
        return b"VBRI" in first
    flags, _, told = struct.unpack(">III", first[places[0] + 4 : places[0] + 16].ljust(12, b"\0"))
    return bool(flags & 1) and not (flags & 2 and source.num_bytes > tag + 1.05 * told + 4096)
