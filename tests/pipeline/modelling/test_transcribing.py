"""Files of any kind to outcomes, with a model that only says how much it was given."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import soundfile

from voxmill.manifests.records import SAMPLE_RATE, Bandwidth
from voxmill.operators.contract.adapters import Audio
from voxmill.pipeline.modelling.audio_inputs import AudioLoader, AudioLoaderConfig, AudioSegment, NoAudio
from voxmill.pipeline.modelling.transcribing import (
    BATCH_SECONDS,
    TranscribedFile,
    TranscribedSegment,
    TranscribedWord,
    print_transcribed,
    transcribe,
)
from voxmill.pipeline.terminal.output import console


@dataclass
class Heard:
    marked: str
    labels: dict[str, tuple[str, ...]] = field(default_factory=lambda: {"language": ("en",), "gender": ()})
    words: tuple[TranscribedWord, ...] | None = (TranscribedWord("so", 0.12, 0.2, 0.98765),)


class Teller:
    def __init__(self) -> None:
        self.calls: list[tuple[int, ...]] = []

    def __call__(self, waves: Sequence[Audio], bandwidths: Sequence[Bandwidth]) -> list[Heard]:
        self.calls.append(tuple(map(len, waves)))
        return [Heard(f"{len(wave)} {band}") for wave, band in zip(waves, bandwidths, strict=True)]


class Fixed(AudioLoader):
    """Clips of these lengths in seconds, from nowhere."""

    def __init__(self, *lengths: float) -> None:
        super().__init__()
        self.lengths = lengths

    def segments(self, recording: object):  # type: ignore[no-untyped-def]
        for length in self.lengths:
            yield AudioSegment(0, np.zeros(int(length * SAMPLE_RATE), np.float32), "wide")


def noise(seconds: float, rate: int = 22_050) -> Audio:
    return np.random.default_rng(1).normal(0, 0.1, int(seconds * rate)).astype(np.float32)


@pytest.fixture
def file(tmp_path: Path) -> str:
    soundfile.write(tmp_path / "a.flac", noise(2), 22_050)
    return str(tmp_path / "a.flac")


def test_a_bad_file_is_an_outcome_and_the_others_go_on(tmp_path: Path, file: str) -> None:
    (tmp_path / "empty.wav").touch()
    (tmp_path / "text.mp3").write_text("no audio at all")
    (tmp_path / "cut.wav").write_bytes(b"RIFF\x10\0\0\0WAVEfmt ")
    bad = [str(tmp_path / name) for name in ("empty.wav", "text.mp3", "cut.wav", "nowhere.wav")]
    outcomes = list(transcribe([*bad, str(tmp_path), "nothing://x", file], Teller(), AudioLoader()))
    errors = [outcome.error or "" for outcome in outcomes]
    starts = (
        "decode.empty: ",
        "decode.not_audio: ",
        "decode.corrupt: ",
        "No such file",
        "a folder: name its files",
        "nothing://x: no such kind of store",
    )
    assert [error.startswith(start) for error, start in zip(errors, starts, strict=False)] == [True] * 6
    assert errors[-1] == ""
    assert outcomes[-1].text == f"{2 * SAMPLE_RATE} wide"
    assert (outcomes[-1].seconds, outcomes[-1].bandwidth) == (2.0, "wide")
    assert outcomes[-1].segments[0].labels == {"language": ("en",), "gender": ()}


def test_a_short_file_is_heard_whole_and_a_long_one_in_its_speech(file: str) -> None:
    (clip,) = AudioLoader().segments(AudioLoader().open(file))
    assert (clip.start, clip.end, clip.bandwidth) == (0, 2 * SAMPLE_RATE, "wide")
    long = AudioLoader(AudioLoaderConfig(whole_seconds=1.0))
    assert list(long.segments(long.open(file))) == []  # noise is no speech


def test_clips_are_heard_together_while_they_are_few_and_short(file: str) -> None:
    teller = Teller()
    (outcome,) = transcribe([file], teller, Fixed(*[1.0] * 9, BATCH_SECONDS - 1, 2.0))
    assert [len(call) for call in teller.calls] == [8, 1, 1, 1]
    assert len(outcome.segments) == 11


def test_times_of_words_are_those_of_the_file(file: str) -> None:
    class Later(Fixed):
        def segments(self, recording: object):  # type: ignore[no-untyped-def]
            yield AudioSegment(3 * SAMPLE_RATE, np.zeros(SAMPLE_RATE, np.float32), "wide")

    (outcome,) = transcribe([file], Teller(), Later())
    assert outcome.segments[0].words == (TranscribedWord("so", 3.12, 3.2, 0.9877),)


def test_a_file_without_speech_says_nothing(file: str) -> None:
    (outcome,) = transcribe([file], Teller(), Fixed())
    assert (outcome.text, outcome.error, outcome.segments) == ("", None, ())


def test_a_sound_that_is_not_there_raises_for_who_asks_alone() -> None:
    with pytest.raises(NoAudio, match="No such file"):
        AudioLoader().open("nowhere.wav")


def test_what_is_printed_is_one_line_of_json_or_lines_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    outcome = TranscribedFile(
        "a [b].wav", 2.0, "wide", (TranscribedSegment(0.0, 2.0, "谢谢 [SCD] yes", {"language": ("zh",), "gender": ()}),)
    )
    print_transcribed(outcome, console(), as_json=True)
    line = json.loads(capsys.readouterr().out)
    assert (line["file"], line["text"], line["error"]) == ("a [b].wav", "谢谢 [SCD] yes", None)
    assert line["segments"][0]["labels"] == {"language": ["zh"], "gender": []}
    print_transcribed(outcome, console(), as_json=False)
    assert capsys.readouterr().out.splitlines() == [
        "a [b].wav · 2.0 s · wide",
        "  0.0–2.0  谢谢 [SCD] yes  [language=zh gender=none]",
    ]
    print_transcribed(TranscribedFile("x", 0.0, None, (), "decode.empty: zero bytes"), console(), as_json=False)
    assert capsys.readouterr().out == "x: decode.empty: zero bytes\n"
