"""The operator, with a scripted engine and real audio files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import factory
from speech.waves import write_wave
from voxmill.manifests.records import Part, Recording, Segment, Word
from voxmill.operators.contract.adapters import Audio, AudioClip, TimedWord, Transcript
from voxmill.operators.contract.unit_input import UnitInput
from voxmill.operators.transcribe.moonshine import MoonshineConfig
from voxmill.operators.transcribe.transcribe import Transcribe

SECOND = 16000


class LevelReader:
    """An engine that hears the level of its audio: each span is one word, the value of its samples."""

    model = "levels@1"

    def __init__(self) -> None:
        self.clips: list[AudioClip] = []

    def transcribe(self, clips: Sequence[AudioClip]) -> list[list[Transcript]]:
        self.clips += clips
        return [[self._span(clip.audio[s.start : s.end], s.start, s.end) for s in clip.spans] for clip in clips]

    def _span(self, audio: Audio, start: int, end: int) -> Transcript:
        level = str(round(float(audio.mean()) * 32768))
        return Transcript(level, (TimedWord(level, start, end, 1 / 3),), 2 / 3, "en", 0.123456789, 0.0)


@pytest.fixture
def levels(tmp_path: Path) -> Recording:
    """Ten seconds; second k is a constant k + 1 (in 16-bit steps)."""
    write_wave(tmp_path / "levels.wav", np.repeat(np.arange(1, 11, dtype=np.int16), SECOND))
    return factory.recording("levels", audio=str(tmp_path / "levels.wav"))


def seconds(of: Recording, *spans: tuple[int, int]) -> tuple[Segment, ...]:
    return tuple(factory.segment(of, start * SECOND, (end - start) * SECOND) for start, end in spans)


def work(*recordings: Recording, segments: tuple[Segment, ...], parts: tuple[Part, ...] | None = None) -> UnitInput:
    return UnitInput("u", recordings=recordings, parts=parts or tuple(map(factory.part, recordings)), segments=segments)


def test_each_segment_gets_its_own_audio_and_absolute_times(levels: Recording) -> None:
    segments = seconds(levels, (3, 4), (4, 5), (8, 9))
    engine = LevelReader()
    hypotheses = Transcribe(MoonshineConfig(name="a"), engine)(work(levels, segments=segments))
    assert [h.segment_id for h in hypotheses] == [s.id for s in segments]
    assert [h.text for h in hypotheses] == ["4", "5", "9"]
    assert [h.words for h in hypotheses] == [(Word(t, s.start, s.end, 0.33333),) for t, s in zip("459", segments, strict=True)]
    first = hypotheses[0]
    assert (first.engine, first.model, first.confidence, first.language_confidence) == ("a", "levels@1", 0.66667, 0.12346)
    assert len(engine.clips[0].audio) == 6 * SECOND  # from the first segment to the last, no more


def test_parts_and_recordings_of_a_unit_go_in_one_call_and_come_back_in_its_order(levels: Recording) -> None:
    other = factory.recording("other", audio=levels.audio, language="fr")
    mine, its = seconds(levels, (0, 1), (6, 7)), seconds(other, (9, 10), (2, 3))
    parts = (Part(levels.id, 0, 5 * SECOND), Part(other.id, 0, 10 * SECOND), Part(levels.id, 5 * SECOND, 5 * SECOND))
    engine = LevelReader()
    hypotheses = Transcribe(MoonshineConfig(), engine)(work(levels, other, segments=(*mine, *its), parts=parts))
    assert [h.text for h in hypotheses] == ["1", "7", "10", "3"]
    assert [clip.language for clip in engine.clips] == [None, "fr", None]


def test_a_part_without_segments_is_not_read() -> None:
    nowhere = factory.recording("nowhere", audio="/nowhere.wav")
    engine = LevelReader()
    assert Transcribe(MoonshineConfig(), engine)(work(nowhere, segments=())) == []
    assert engine.clips == []


def test_twice_gives_equal_records(levels: Recording) -> None:
    operator, unit = Transcribe(MoonshineConfig(), LevelReader()), work(levels, segments=seconds(levels, (0, 2), (5, 9)))
    assert operator(unit) == operator(unit)


def test_a_language_the_engine_is_kept_from_is_an_outcome(levels: Recording) -> None:
    config = MoonshineConfig(languages=("en",), skip_other_languages=True)
    engine = LevelReader()
    (hypothesis,) = Transcribe(config, engine)(work(replace(levels, language="zh-CN"), segments=seconds(levels, (0, 1))))
    assert hypothesis.rejection is not None
    assert (hypothesis.rejection.reason, hypothesis.text) == ("transcribe.language", "")
    assert engine.clips == []


def test_what_an_engine_raises_is_raised(levels: Recording) -> None:
    class Broken(LevelReader):
        def transcribe(self, clips: Sequence[AudioClip]) -> list[list[Transcript]]:
            raise RuntimeError("no more memory")

    with pytest.raises(RuntimeError, match="memory"):
        Transcribe(MoonshineConfig(), Broken())(work(levels, segments=seconds(levels, (0, 1))))


def test_an_engine_that_loses_a_span_is_a_bug_found_at_once(levels: Recording) -> None:
    class Forgetful(LevelReader):
        def transcribe(self, clips: Sequence[AudioClip]) -> list[list[Transcript]]:
            return [found[1:] for found in super().transcribe(clips)]

    with pytest.raises(ValueError, match="zip"):
        Transcribe(MoonshineConfig(), Forgetful())(work(levels, segments=seconds(levels, (0, 1), (1, 2))))


def test_an_event_is_not_transcribed(levels: Recording) -> None:
    speech, event = seconds(levels, (3, 4), (4, 6))
    engine = LevelReader()
    said, silent = Transcribe(MoonshineConfig(name="a"), engine)(work(levels, segments=(speech, replace(event, kind="event"))))
    assert said.text == "4"
    assert (silent.text, silent.rejection and silent.rejection.reason) == ("", "transcribe.event")
    assert [len(clip.spans) for clip in engine.clips] == [1]
