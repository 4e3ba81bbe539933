from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.words import Edits, edits, english
from voxmill.operators.contract.adapters import Audio, AudioClip, Span, Transcript
from voxmill.operators.transcribe.pocketsphinx import PocketSphinx, PocketSphinxConfig

pytestmark = [pytest.mark.slow]


@pytest.fixture(scope="module")
def sphinx() -> PocketSphinx:
    pytest.importorskip("pocketsphinx")
    return PocketSphinx(PocketSphinxConfig())


@pytest.fixture(scope="module")
def clip(reading: AudioClip) -> AudioClip:
    return replace(reading, spans=reading.spans[-3:])


@pytest.fixture(scope="module")
def heard(sphinx: PocketSphinx, clip: AudioClip) -> list[Transcript]:
    return sphinx.transcribe([clip])[0]


def test_it_hears_something_like_the_reading(heard: list[Transcript], clip: AudioClip, spoken: tuple[str, ...]) -> None:
    pairs = zip(spoken[-3:], (t.text for t in heard), strict=True)
    assert sum((edits(english(a), english(b)) for a, b in pairs), Edits()).rate <= 0.6
    for span, transcript in zip(clip.spans, heard, strict=True):
        assert all(span.start <= w.start <= w.end <= span.end for w in transcript.words or ())
        assert "(" not in transcript.text


def test_it_carries_nothing_from_one_span_to_the_next(sphinx: PocketSphinx, heard: list[Transcript], clip: AudioClip) -> None:
    alone, pair = replace(clip, spans=clip.spans[:1]), replace(clip, spans=clip.spans[1::-1])
    assert sphinx.transcribe([alone, pair]) == [heard[:1], heard[1::-1]]


def test_nothing_to_hear(sphinx: PocketSphinx, hiss: Audio) -> None:
    assert [len(found) for found in sphinx.transcribe([AudioClip(hiss, (Span(0, 1), Span(1, 900))), AudioClip(hiss, ())])] == [
        2,
        0,
    ]
