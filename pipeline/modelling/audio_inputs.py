"""Audio files of any format as segments for a trained model, decoded and cut at pauses by the operators of a run."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace

from voxmill.manifests.config_base import Settings
from voxmill.manifests.reasons import REASONS
from voxmill.manifests.records import Bandwidth, Licence, Part, Provenance, Recording, Segment
from voxmill.operators.contract.adapters import Audio
from voxmill.operators.contract.unit_input import UnitInput
from voxmill.operators.decode.audio import AudioReader, Playback
from voxmill.operators.decode.container import open_bytes
from voxmill.operators.decode.probe import Decode, DecodeConfig
from voxmill.operators.segment.segment import FindSpeech, SegmentConfig


class AudioLoaderConfig(Settings):
    """How files are decoded and when they are cut."""

    decode: DecodeConfig = DecodeConfig(min_seconds=0.025)
    segment: SegmentConfig = SegmentConfig(min_seconds=0.3)
    whole_seconds: float = 30.0
    """A file up to this length (s) is one segment; a longer one is cut into its stretches of speech."""


@dataclass(frozen=True, slots=True, eq=False)
class AudioSegment:
    """16 kHz mono samples of a file, from sample `start` on."""

    start: int
    audio: Audio
    bandwidth: Bandwidth

    @property
    def end(self) -> int:
        """The sample after the last."""
        return self.start + len(self.audio)


class NoAudio(Exception):
    """A file without usable audio; the message says why."""


class AudioLoader:
    """`loader.segments(loader.open("talk.mp3"))` yields what a model transcribes. It loads a VAD model only for long files."""

    def __init__(self, config: AudioLoaderConfig | None = None) -> None:
        self.config = config or AudioLoaderConfig()
        self._decode = Decode(self.config.decode)
        self._find_speech: FindSpeech | None = None

    def open(self, uri: str) -> Recording:
        """Decodes a path or fsspec URL once, from end to end; `bandwidth` is "wide" where the audio is too short to tell. Raises NoAudio."""
        if os.path.isdir(uri):
            raise NoAudio(f"a folder: name its files ({uri.rstrip('/')}/*)")
        try:
            open_bytes(uri).close()
        except Exception as error:
            said = getattr(error, "strerror", None) or str(error)
            raise NoAudio(type(error).__name__ if said in ("", uri) else said) from error
        (found,) = self._decode(UnitInput(uri, recordings=(_recording(uri),)))
        if found.rejection:
            meaning = REASONS[found.rejection.reason].meaning
            raise NoAudio(f"{found.rejection.reason}: {meaning} ({found.rejection.detail})")
        return replace(found, bandwidth=found.bandwidth or "wide")

    def segments(self, recording: Recording) -> Iterator[AudioSegment]:
        """Segments in order of time, one in memory at once. Raises WeightsMissing if a long file needs a VAD model that is not here."""
        reader, bandwidth = AudioReader(Playback.of(recording)), recording.bandwidth or "wide"
        if recording.seconds <= self.config.whole_seconds:
            yield AudioSegment(0, reader.read(0, recording.num_samples), bandwidth)
            return
        for segment in self._speech(recording):
            yield AudioSegment(segment.start, reader.read(segment.start, segment.num_samples), bandwidth)

    def _speech(self, recording: Recording) -> list[Segment]:
        self._find_speech = self._find_speech or FindSpeech(self.config.segment)
        part = Part(recording.id, 0, recording.num_samples)
        work = UnitInput(recording.id, recordings=(recording,), parts=(part,))
        return [segment for segment in self._find_speech(work) if segment.rejection is None]


def _recording(uri: str) -> Recording:
    """The record that the operators of a run need for a file; it is not stored anywhere."""
    ident = hashlib.sha256(uri.encode("utf-8", "surrogateescape")).hexdigest()
    return Recording(ident, ident, Provenance("command line", uri), Licence(), audio=uri)
