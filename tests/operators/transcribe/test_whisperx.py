"""whisperX with the weights that travel in a package, on real speech."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from benchmarks.words import Edits, edits, english
from speech.waves import RATE
from voxmill.operators.contract.adapters import Audio, AudioClip, Span, Transcript
from voxmill.operators.transcribe.faster_whisper import FasterWhisper, FasterWhisperConfig
from voxmill.operators.transcribe.whisperx import WhisperX, WhisperXConfig

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("whisperx")]


@pytest.fixture(scope="module")
def whisper() -> WhisperX:
    return WhisperX(WhisperXConfig(batch_size=2))


@pytest.fixture(scope="module")
def encoded(whisper: WhisperX) -> list[int]:
    """How many windows each run of the encoder had."""
    batches: list[int] = []
    model = whisper._whisper._whisper
    encode = model.encode

    def counted(features: Any) -> Any:
        batches.append(len(features))
        return encode(features)

    model.encode = counted
    return batches


@pytest.fixture(scope="module")
def heard(whisper: WhisperX, encoded: list[int], reading: AudioClip) -> list[Transcript]:
    encoded.clear()
    (transcripts,) = whisper.transcribe([reading])
    assert encoded == [2], "the encoder runs once a batch"
    return transcripts


@pytest.fixture(scope="module")
def short(reading: AudioClip) -> AudioClip:
    """Two spans in one window."""
    return replace(reading, spans=reading.spans[:2])


@pytest.fixture(scope="module")
def heard_short(whisper: WhisperX, short: AudioClip) -> list[list[Transcript]]:
    return whisper.transcribe([short])


def errors(spoken: tuple[str, ...], heard: list[str]) -> float:
    return sum((edits(english(a), english(b)) for a, b in zip(spoken, heard, strict=True)), Edits()).rate


def test_packed_windows_give_every_span_its_own_words(
    heard: list[Transcript], reading: AudioClip, spoken: tuple[str, ...]
) -> None:
    assert errors(spoken, [t.text for t in heard]) <= 0.1
    for span, transcript in zip(reading.spans, heard, strict=True):
        assert transcript.words
        assert all(span.start <= w.start <= w.end <= span.end for w in transcript.words)
        assert " ".join(w.text for w in transcript.words) == transcript.text
        assert transcript.language == "en"
        assert 0.8 < (transcript.language_confidence or 0) <= 1
        assert 0.5 < (transcript.confidence or 0) <= 1


def test_faster_whisper_alone_hears_the_same(heard_short: list[list[Transcript]], short: AudioClip) -> None:
    assert FasterWhisper(FasterWhisperConfig(batch_size=2)).transcribe([short]) == heard_short


def test_the_text_is_that_of_the_library_on_the_same_windows(
    whisper: WhisperX, heard: list[Transcript], reading: AudioClip
) -> None:
    """Oracle: faster-whisper's own `transcribe`, which this adapter takes apart to get at languages and spans."""
    windows = whisper._windows(reading)
    assert len(windows) == 2
    edges = [{"start": window.start / RATE, "end": window.end / RATE} for window in windows]
    segments, _ = whisper._pipeline.transcribe(
        reading.audio,
        language="en",
        word_timestamps=True,
        vad_filter=False,
        clip_timestamps=edges,
        temperature=[0.0],
        batch_size=2,
    )
    said = " ".join(segment.text.strip() for segment in segments)
    assert " ".join(t.text for t in heard) == said


def test_twice_is_the_same(whisper: WhisperX, heard_short: list[list[Transcript]], short: AudioClip) -> None:
    assert whisper.transcribe([short]) == heard_short


def test_windows_of_one_batch_may_differ_in_language(whisper: WhisperX, short: AudioClip) -> None:
    """A stated language is followed, and doubted."""
    english_one, french = whisper.transcribe([short, replace(short, language="fr-CA")])
    assert {t.language for t in english_one} == {"en"}
    assert {t.language for t in french} == {"fr"}
    assert all((t.language_confidence or 0) < 0.1 for t in french)


def test_nothing_to_hear_is_still_one_result_per_span(whisper: WhisperX, hiss: Audio) -> None:
    clip = AudioClip(hiss, (Span(0, 5), Span(5, len(hiss))))
    zeros = AudioClip(np.zeros(RATE, np.float32), (Span(0, RATE),))
    found = whisper.transcribe([clip, AudioClip(hiss, ()), zeros])
    assert [len(transcripts) for transcripts in found] == [2, 0, 1]
    assert found[2][0].no_speech is not None
    assert whisper.transcribe([]) == []


def test_one_window_per_span_hears_the_same(reading: AudioClip, spoken: tuple[str, ...]) -> None:
    single = WhisperX(WhisperXConfig(packed=False, languages=("en",), beam_size=1))
    (transcripts,) = single.transcribe([replace(reading, spans=reading.spans[:5])])
    # int8 sums differ between CPUs, and with them a word here and there
    assert errors(spoken[:5], [t.text for t in transcripts]) <= 0.2


def test_a_span_longer_than_the_model_is_heard_to_its_end(
    whisper: WhisperX, reading: AudioClip, spoken: tuple[str, ...]
) -> None:
    whole = Span(reading.spans[0].start, reading.spans[12].end)
    assert whole.end - whole.start > 30 * RATE
    ((transcript,),) = whisper.transcribe([AudioClip(reading.audio, (whole,))])
    assert errors((" ".join(spoken[:13]),), [transcript.text]) <= 0.1


def test_a_language_the_weights_do_not_know_is_refused() -> None:
    with pytest.raises(ValueError, match="does not know xx"):
        WhisperX(WhisperXConfig(languages=("en", "xx")))
