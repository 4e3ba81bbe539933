"""Files of any format to the clips that a model hears: decoded, measured and cut at pauses by the operators of a run.

A file that gives no audio is an outcome with a reason, as it is in a run, and never ends the others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from voxmill.manifests.config_base import Settings
from voxmill.manifests.reasons import REASONS
from voxmill.manifests.records import SAMPLE_RATE, Bandwidth, Licence, Part, Provenance, Recording, Segment
from voxmill.operators.contract.adapters import Audio
from voxmill.operators.contract.unit_input import UnitInput
from voxmill.operators.decode.audio import AudioReader
from voxmill.operators.decode.container import open_bytes
from voxmill.operators.decode.playback import Playback
from voxmill.operators.decode.probe import Decode, DecodeConfig
from voxmill.operators.segment.segment import FindSpeech, SegmentConfig


class AudioLoaderConfig(Settings):
    decode: DecodeConfig = DecodeConfig(min_seconds=0.025)
    segment: SegmentConfig = SegmentConfig(min_seconds=0.3)
    whole_seconds: float = 30.0
    """A file up to this length (s) is heard as it is; a longer one is cut at its pauses, and what is no speech is not heard."""


@dataclass(frozen=True, slots=True, eq=False)
class AudioSegment:
    """A stretch of a file, as 16 kHz mono samples from sample `start` on."""

    start: int
    audio: Audio
    bandwidth: Bandwidth

    @property
    def end(self) -> int:
        return self.start + len(self.audio)


@dataclass(frozen=True, slots=True)
class AudioFile:
    """A file that can be heard."""

    recording: Recording
    """As it was decoded; nothing of it is kept."""

    @property
    def num_samples(self) -> int:
        return self.recording.num_samples

    @property
    def bandwidth(self) -> Bandwidth:
        """Measured; wide where there was too little to tell."""
        return self.recording.bandwidth or "wide"

    @property
    def seconds(self) -> float:
        return self.num_samples / SAMPLE_RATE


class NoAudio(Exception):
    """A file without audio for a model; the message says why."""


class AudioLoader:
    def __init__(self, config: AudioLoaderConfig | None = None) -> None:
        self.config = config or AudioLoaderConfig()
        self._decode = Decode(self.config.decode)
        self._find_speech: FindSpeech | None = None

    def open(self, uri: str) -> AudioFile:
        """Decodes it once, from end to end. `uri` is a path or any fsspec URL. Raises NoAudio."""
        try:
            open_bytes(uri).close()
        except (OSError, ValueError, ImportError) as error:  # not there, no such protocol, a protocol without its package
            raise NoAudio(getattr(error, "strerror", None) or str(error)) from error
        (found,) = self._decode(UnitInput(uri, recordings=(_recording(uri),)))
        if found.rejection:
            meaning = REASONS[found.rejection.reason].meaning
            raise NoAudio(f"{found.rejection.reason}: {meaning} ({found.rejection.detail})")
        return AudioFile(found)

    def clips(self, sound: AudioFile) -> Iterator[AudioSegment]:
        """In order of time; memory holds one at a time. Raises WeightsMissing where a long file needs a detector that is not here."""
        reader = AudioReader(Playback.of(sound.recording))
        if sound.seconds <= self.config.whole_seconds:
            yield AudioSegment(0, reader.read(0, sound.num_samples), sound.bandwidth)
            return
        for segment in self._speech(sound):
            yield AudioSegment(segment.start, reader.read(segment.start, segment.num_samples), sound.bandwidth)

    def _speech(self, sound: AudioFile) -> list[Segment]:
        self._find_speech = self._find_speech or FindSpeech(self.config.segment)
        part = Part(sound.recording.id, 0, sound.num_samples)
        work = UnitInput(sound.recording.id, recordings=(sound.recording,), parts=(part,))
        return [segment for segment in self._find_speech(work) if segment.rejection is None]


def _recording(uri: str) -> Recording:
    """What the operators of a run want to be told of a file; nothing of it is kept."""
    ident = hashlib.sha256(uri.encode("utf-8", "surrogateescape")).hexdigest()
    return Recording(ident, ident, Provenance("command line", uri), Licence(), audio=uri)
