"""Moonshine with the weights that travel in a package, on real speech."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.words import Edits, edits, english
from speech.waves import RATE
from voxmill.operators.contract.adapters import Audio, AudioClip, Span, Transcript
from voxmill.operators.transcribe.moonshine import Moonshine, MoonshineConfig
from voxmill.operators.weights.registry import resolve

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("moonshine")]


@pytest.fixture(scope="module")
def moonshine() -> Moonshine:
    return Moonshine(MoonshineConfig())


@pytest.fixture(scope="module")
def heard(moonshine: Moonshine, reading: AudioClip) -> list[Transcript]:
    return moonshine.transcribe([reading])[0]


def test_it_hears_the_reading(heard: list[Transcript], spoken: tuple[str, ...]) -> None:
    pairs = zip(spoken, (t.text for t in heard), strict=True)
    assert sum((edits(english(a), english(b)) for a, b in pairs), Edits()).rate <= 0.25
    assert all(0.3 < (t.confidence or 0) <= 1 for t in heard)
    assert {(t.words, t.language, t.language_confidence) for t in heard} == {(None, "en", None)}


def test_a_span_is_heard_the_same_again_and_without_its_neighbours(
    moonshine: Moonshine, heard: list[Transcript], reading: AudioClip
) -> None:
    assert moonshine.transcribe([replace(reading, spans=reading.spans[:4])]) == [heard[:4]]
    for i in (0, 7):
        assert moonshine.transcribe([replace(reading, spans=reading.spans[i : i + 1])]) == [[heard[i]]]


def test_the_tokens_are_those_of_the_publishers_own_loop(moonshine: Moonshine, reading: AudioClip) -> None:
    """Oracle: the reference decoder in useful-moonshine-onnx, on the same graphs."""
    reference = pytest.importorskip("moonshine_onnx").MoonshineOnnxModel(
        models_dir=str(resolve("moonshine-tiny-en")), model_name="moonshine/tiny", model_format="ort"
    )
    for span in reading.spans[:5]:
        audio = reading.audio[span.start : span.end]
        (tokens,) = reference.generate(audio[None])
        mine, _ = moonshine._generate(audio)
        assert [1, *mine] == tokens


def test_a_loop_is_stopped_by_the_length_of_the_audio(hiss: Audio) -> None:
    few = Moonshine(MoonshineConfig(tokens_per_second=1.0))
    tokens, chances = few._generate(np.concatenate([hiss] * 3))
    assert len(tokens) == len(chances) <= 1 + 9


def test_a_long_span_is_heard_to_its_end(moonshine: Moonshine, reading: AudioClip, spoken: tuple[str, ...]) -> None:
    whole = Span(reading.spans[0].start, reading.spans[-1].end)
    ((transcript,),) = moonshine.transcribe([AudioClip(reading.audio, (whole,))])
    assert edits(english(" ".join(spoken)), english(transcript.text)).rate <= 0.25


def test_very_short_audio_is_one_result(moonshine: Moonshine, hiss: Audio) -> None:
    clip = AudioClip(hiss, (Span(0, 1), Span(1, 400), Span(400, RATE)))
    assert [len(found) for found in moonshine.transcribe([clip, AudioClip(hiss, ())])] == [3, 0]
