from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.words import Edits, edits, english
from voxmill.operators.contract.adapters import Audio, AudioClip, Span
from voxmill.operators.transcribe.pocketsphinx import PocketSphinx, PocketSphinxConfig

pytestmark = [pytest.mark.slow]


@pytest.fixture(scope="module")
def sphinx() -> PocketSphinx:
    pytest.importorskip("pocketsphinx")
    return PocketSphinx(PocketSphinxConfig())


def test_it_hears_something_like_the_reading(sphinx: PocketSphinx, reading: AudioClip, spoken: tuple[str, ...]) -> None:
    reading = replace(reading, spans=reading.spans[-3:])
    (transcripts,) = sphinx.transcribe([reading])
    pairs = zip(spoken[-3:], (t.text for t in transcripts), strict=True)
    assert sum((edits(english(a), english(b)) for a, b in pairs), Edits()).rate <= 0.6
    for span, transcript in zip(reading.spans, transcripts, strict=True):
        assert all(span.start <= w.start <= w.end <= span.end for w in transcript.words or ())
        assert "(" not in transcript.text


def test_it_carries_nothing_from_one_span_to_the_next(sphinx: PocketSphinx, reading: AudioClip) -> None:
    clip = replace(reading, spans=reading.spans[1:3])
    (transcripts,) = sphinx.transcribe([clip])
    assert sphinx.transcribe([replace(clip, spans=clip.spans[1:]), clip]) == [transcripts[1:], transcripts]


def test_nothing_to_hear(sphinx: PocketSphinx, hiss: Audio) -> None:
    assert [len(found) for found in sphinx.transcribe([AudioClip(hiss, (Span(0, 1), Span(1, 900))), AudioClip(hiss, ())])] == [
        2,
        0,
    ]
