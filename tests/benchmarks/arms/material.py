"""What every arm hears: real prompts joined into MP3 recordings, and the units that the pipeline makes of them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from demo.encode import encode
from speech.joined import joined
from speech.waves import read_wave
from voxmill.manifests.records import Licence, Provenance, Recording
from voxmill.operators.contract.unit_input import UnitInput
from voxmill.operators.decode.probe import Decode, DecodeConfig
from voxmill.operators.segment.segment import FindSpeech, SegmentConfig
from voxmill.pipeline.state.units import UnitConfig, form_units

LANGUAGE = "en"


@dataclass(frozen=True, slots=True)
class Material:
    paths: tuple[Path, ...]
    texts: tuple[str, ...]
    """What is said in each recording."""
    units: tuple[UnitInput, ...]
    """As the pipeline forms them: the same parts, so the same windows in every arm."""

    warm_up: UnitInput
    """The first unit with its segments: what every process of every arm hears before anything is measured. A shorter one would leave
    most of a worker's memory to be touched for the first time while the clock runs: a second of its first minute."""

    unit_seconds: float
    recordings: tuple[Recording, ...]
    """The decoded recordings, in the order of `paths`."""

    def cut(self, count: int, unit_seconds: float) -> Material:
        """The first `count` recordings, in units of other sizes."""
        units = _units(self.recordings[:count], unit_seconds)
        paths, texts, recordings = self.paths[:count], self.texts[:count], self.recordings[:count]
        return replace(self, paths=paths, texts=texts, units=units, unit_seconds=unit_seconds, recordings=recordings)

    @property
    def seconds(self) -> float:
        return sum(part.num_samples for unit in self.units for part in unit.parts) / 16_000


def material(folder: Path, count: int, seconds: float, unit_seconds: float) -> Material:
    """`count` recordings of at least `seconds` each, as MP3 files in `folder`."""
    spoken = joined(LANGUAGE, count, seconds, seed=17)
    paths = [
        encode(folder / f"{number:03d}.mp3", read_wave(one.path), "libmp3lame", bit_rate=64_000)
        for number, one in enumerate(spoken)
    ]
    decode, recordings = Decode(DecodeConfig()), list[Recording]()
    for path in paths:
        key = hashlib.sha256(path.read_bytes()).hexdigest()
        found = Recording(key, key, Provenance("bench", str(path)), Licence(), audio=str(path), language=LANGUAGE)
        recordings += decode(UnitInput(key, recordings=(found,)))
    units = _units(recordings, unit_seconds)
    texts = tuple(" ".join(prompt.text for _, _, prompt in one.said) for one in spoken)
    segments = tuple(segment for segment in FindSpeech(SegmentConfig())(units[0]) if segment.rejection is None)
    return Material(tuple(paths), texts, units, replace(units[0], segments=segments), unit_seconds, tuple(recordings))


def _units(recordings: Sequence[Recording], unit_seconds: float) -> tuple[UnitInput, ...]:
    by_id = {recording.id: recording for recording in recordings}
    return tuple(
        UnitInput(
            unit.id, recordings=tuple({p.recording_id: by_id[p.recording_id] for p in unit.parts}.values()), parts=unit.parts
        )
        for unit, _ in form_units(recordings, UnitConfig(seconds=unit_seconds))
    )
