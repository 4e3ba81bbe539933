"""The audio of a file that is not decoded, counted: the books hold against what is in the file, not against what could be read.

What a file holds is told by its packets (each has a duration, also where it cannot be decoded), by its time stamps (a hole between
two packets), and by its header or index (samples that a broken transfer did not bring). A header that makes up hours is not
believed: neither the numbers that writers put where they do not know the length, nor more than `MOST`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition

from voxmill.manifests.records import SAMPLE_RATE
from voxmill.operators.source import Source

MOST = 48 * 3600.0
"""Seconds that a header may claim."""

LEAST = 0.25
"""Seconds by which a claim may exceed what is heard: encoders pad, and round."""

TELLING = frozenset(
    "wav w64 aiff caf au nistsphere flac mp4 matroska ape tta tak wv mpc mpc8 asf rm avi flv dsf wsd qoa dss xwma".split()  # noqa: SIM905
)
"""Containers whose header or index says how long the sound is. The lengths of the others are guessed from bit rates."""

WHOLE = frozenset({"matroska", "asf", "flv", "avi", "rm"})
"""Those of them that tell the length of the whole, pictures and all, and not of the sound."""


@dataclass(slots=True)
class Lost:
    """Seconds that a file holds and that were not decoded, by why."""

    failures: int = 0
    """How often decoding or reading has failed; what could be decoded is kept."""
    silent: float = 0.0
    """Seconds of silence in the timeline that stand for what could not be decoded between two sounds."""
    missing: dict[str, float] = field(default_factory=dict)
    """Seconds that are nowhere in the timeline."""
    odd: int = 0
    """Samples that were no numbers, or far too large."""

    def miss(self, seconds: float, why: str) -> None:
        if seconds > 0:
            self.missing[why] = self.missing.get(why, 0.0) + seconds

    @property
    def silent_samples(self) -> int:
        return round(self.silent * SAMPLE_RATE)

    @property
    def num_samples(self) -> int:
        """Of both kinds, at `SAMPLE_RATE`."""
        return self.silent_samples + round(sum(self.missing.values()) * SAMPLE_RATE)

    @property
    def why(self) -> str | None:
        said = [f"{seconds:.2f} s {why}" for why, seconds in self.missing.items()]
        if self.silent:
            said.append(f"{self.silent:.2f} s could not be decoded and are silent")
        if self.odd:
            said.append(f"{self.odd} samples were no numbers")
        return "; ".join(said) or None


def claimed(container: InputContainer, stream: AudioStream, name: str, source: Source) -> float | None:
    """Seconds of sound that the header or index promises; None where it promises nothing that can be believed."""
    if name == "mp3" and not _counted(source):
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
    if codec.name.startswith("pcm_") and codec.sample_rate:
        width = codec.format.bytes * codec.channels if codec.format else 0
        if _unknown(round(seconds * codec.sample_rate) * width):
            return None
    return seconds if 0 < seconds <= MOST else None


def _unknown(num_bytes: int) -> bool:
    """Whether a length is one of those that are written before the length is known."""
    return any(-65536 <= num_bytes - (1 << bits) <= 0 for bits in (31, 32, 63, 64))


def _counted(source: Source) -> bool:
    """Whether an MP3 says how many frames it has; else its length is guessed from its first bit rate."""
    head = source.look(0, 10)
    tag = sum((byte & 0x7F) << 7 * (3 - place) for place, byte in enumerate(head[6:10])) + 10 if head[:3] == b"ID3" else 0
    first = source.look(tag, 4096)
    return any(mark in first for mark in (b"Xing", b"Info", b"VBRI"))
