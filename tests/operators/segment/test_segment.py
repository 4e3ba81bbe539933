"""The stage: segments with absolute times that tile each part, the same every time."""

from __future__ import annotations

import wave
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from speech.packaged import TWO_CITIES
from voxmill.manifests.ids import segment_id
from voxmill.manifests.records import Licence, Part, Provenance, Recording, Segment
from voxmill.operators.contract.unit_input import UnitInput
from voxmill.operators.segment.segment import FindSpeech, SegmentConfig

Audio = NDArray[np.float32]
RATE = 16_000


class Loudness:
    """A detector for tests: speech is what is not silent."""

    model, hop = "loudness", 160

    def probabilities(self, blocks: Iterable[Audio]) -> NDArray[np.float32]:
        audio = np.concatenate([np.zeros(0, np.float32), *blocks])
        padded = np.pad(audio, (0, -len(audio) % self.hop)).reshape(-1, self.hop)
        loud: NDArray[np.bool_] = np.abs(padded).max(axis=1) > 0.01
        return loud.astype(np.float32)


def recorded(path: Path, samples: NDArray[np.int16], name: str = "a") -> Recording:
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes(samples.tobytes())
    return Recording(name * 64, name, Provenance("s", str(path)), Licence(), audio=str(path), num_samples=len(samples))


def tone(*stretches: tuple[float, int]) -> NDArray[np.int16]:
    """`(seconds, loudness)` one after the other."""
    return np.concatenate([np.full(round(seconds * RATE), level, np.int16) for seconds, level in stretches])


def tiles(part: Part, segments: list[Segment]) -> bool:
    starts = [part.start, *(s.end for s in segments)]
    return [s.start for s in segments] == starts[:-1] and starts[-1] == part.end


def test_segments_tile_the_part_in_absolute_times(tmp_path: Path) -> None:
    recording = recorded(tmp_path / "a.wav", tone((5, 0), (4, 9000), (6, 0), (1, 9000), (4, 0)))
    part = Part(recording.id, 2 * RATE, 18 * RATE)
    find = FindSpeech(SegmentConfig(pad_seconds=0), Loudness())
    segments = find(UnitInput("u", recordings=(recording,), parts=(part,)))
    assert tiles(part, segments)
    assert [(s.start // RATE, s.end // RATE, s.rejection and s.rejection.reason) for s in segments] == [
        (2, 5, "segment.no_speech"),
        (5, 9, None),
        (9, 15, "segment.no_speech"),
        (15, 16, "segment.too_short"),
        (16, 20, "segment.no_speech"),
    ]
    assert [s.id for s in segments] == [segment_id(recording.id, s.start, s.end) for s in segments]
    assert [s.speech for s in segments] == [0, 1, 0, 1, 0]
    assert segments == find(UnitInput("u", recordings=(recording,), parts=(part,)))


def test_parts_come_in_order_and_speech_is_cut_at_their_ends(tmp_path: Path) -> None:
    first = recorded(tmp_path / "a.wav", tone((10, 0), (20, 9000)), "a")
    second = recorded(tmp_path / "b.wav", tone((3, 9000)), "b")
    parts = (Part(first.id, 0, 20 * RATE), Part(first.id, 20 * RATE, 10 * RATE), Part(second.id, 0, 3 * RATE))
    segments = FindSpeech(SegmentConfig(), Loudness())(UnitInput("u", recordings=(first, second), parts=parts))
    rest = segments
    for part in parts:
        own = [s for s in rest if s.recording_id == part.recording_id and part.start <= s.start < part.end]
        assert own == rest[: len(own)]
        assert tiles(part, own)
        rest = rest[len(own) :]
    kept = [(s.recording_id[0], round(s.start / RATE, 1), round(s.end / RATE, 1)) for s in segments if not s.rejection]
    assert kept == [("a", 9.8, 20), ("a", 20, 30), ("b", 0, 3)]


def test_a_file_that_has_changed_is_not_segmented(tmp_path: Path) -> None:
    recording = recorded(tmp_path / "a.wav", tone((5, 9000)))
    work = UnitInput("u", recordings=(recording,), parts=(Part(recording.id, 0, 6 * RATE),))
    with pytest.raises(ValueError, match="not what was decoded"):
        FindSpeech(SegmentConfig(), Loudness())(work)


def test_real_speech_with_silero(tmp_path: Path) -> None:
    """A reader with a minute of silence before and after: nearly all of the reading is kept, in segments of 2 to 30 s."""
    samples = TWO_CITIES.samples()
    silence = np.zeros(60 * RATE, np.int16)
    recording = recorded(tmp_path / "a.wav", np.concatenate([silence, samples, silence]))
    part = Part(recording.id, 0, recording.num_samples)
    segments = FindSpeech(SegmentConfig())(UnitInput("u", recordings=(recording,), parts=(part,)))
    assert tiles(part, segments)
    kept = [s for s in segments if not s.rejection]
    assert all(2 <= s.seconds <= 30 for s in kept)
    assert 38 <= sum(s.seconds for s in kept) <= 44.5
    assert all(s.start / RATE >= 60 and s.end / RATE <= 105 for s in kept)
    assert all(s.speech is not None and s.speech > 0.6 for s in kept)


def test_without_speech_long_spans_are_kept_as_events(tmp_path: Path) -> None:
    """Five seconds before, six between, 65 after: the last in three equal pieces, as it is longer than a segment may be."""
    recording = recorded(tmp_path / "a.wav", tone((1, 0), (4, 9000), (6, 0), (4, 9000), (65, 0)))
    part = Part(recording.id, 0, recording.num_samples)
    config = SegmentConfig(pad_seconds=0, keep_events=True)
    segments = FindSpeech(config, Loudness())(UnitInput("u", recordings=(recording,), parts=(part,)))
    assert tiles(part, segments)
    found = [(s.kind, s.num_samples / RATE, s.rejection and s.rejection.reason) for s in segments]
    assert found[:4] == [
        ("speech", 1.0, "segment.no_speech"),
        ("speech", 4.0, None),
        ("event", 6.0, None),
        ("speech", 4.0, None),
    ]
    assert [(kind, reason) for kind, _, reason in found[4:]] == [("event", None)] * 3
    assert max(length for *_, length, _ in found) <= config.max_seconds
    off = FindSpeech(SegmentConfig(pad_seconds=0), Loudness())(UnitInput("u", recordings=(recording,), parts=(part,)))
    assert {s.kind for s in off} == {"speech"}
