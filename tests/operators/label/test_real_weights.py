"""Labellers with the weights that packages carry, on real recordings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from scenes import RATE, heard
from speech.packaged import PYANNOTE_SAMPLE, TWO_CITIES
from voxmill.manifests.records import Mark
from voxmill.operators.label.dnsmos import POLYNOMIALS, WINDOW, DnsmosConfig, windows
from voxmill.operators.label.label import load
from voxmill.operators.label.speaker_turns import SpeakerTurnsConfig

pytestmark = pytest.mark.slow


def scores(marks: Sequence[Mark] | None) -> dict[str, float]:
    return {mark.value: mark.score or 0.0 for mark in marks or ()}


def test_quality_is_what_the_published_package_computes() -> None:
    dnsmos = pytest.importorskip("speechmos.dnsmos")
    audio = (TWO_CITIES.samples() / 32768).astype(np.float32)[: 10 * RATE]
    [[answer]] = load(DnsmosConfig(hop_seconds=1.0)).label(heard([(0, 10)], audio))
    # the package moves by 1 s and leaves what follows its last window out, the last window here ends with the audio
    assert len(windows(audio, RATE)) == 2
    theirs = [dnsmos.run(w.copy(), sr=RATE) for w in windows(audio, RATE)]
    mine = scores(answer.marks)
    for name, key in (("overall", "ovrl_mos"), ("signal", "sig_mos"), ("background", "bak_mos")):
        assert mine[name] == pytest.approx(float(np.mean([one[key] for one in theirs])), abs=1e-4)
    assert set(mine) == set(POLYNOMIALS)


def test_noise_lowers_quality_and_the_same_sound_has_the_same() -> None:
    audio = (TWO_CITIES.samples() / 32768).astype(np.float32)[: 9 * RATE]
    noisy = (audio + np.random.default_rng(0).normal(0, 0.05, len(audio))).astype(np.float32)
    labeller = load(DnsmosConfig())
    [[clean], [again], [bad]] = [labeller.label(heard([(0, 9)], sound))[0] for sound in (audio, audio, noisy)]
    assert clean == again
    assert scores(clean.marks)["overall"] > scores(bad.marks)["overall"] + 0.5
    [[silent]] = labeller.label(heard([(0, 2)], np.zeros(2 * RATE, np.float32)))
    assert silent.marks is None


def test_windows_cover_everything() -> None:
    audio = np.arange(WINDOW + 3 * RATE + 7, dtype=np.float32) / 1e6
    found = windows(audio, RATE)
    assert found[-1][-1] == audio[-1]
    assert found[0][0] == audio[0]
    assert [len(w) for w in windows(audio[:RATE], RATE)] == [WINDOW]


def test_two_speakers_take_turns() -> None:
    """pyannote's own sample: speaker 90 speaks from 10.57 to 14.70, speaker 91 from 14.49 to 17.92."""
    audio = (PYANNOTE_SAMPLE.samples() / 32768).astype(np.float32)
    labeller = load(SpeakerTurnsConfig())
    (turns, change), (alone, none) = labeller.label(heard([(10.4, 18.0), (11.0, 14.0)], audio))
    assert {m.value for m in turns.marks or ()} == {"A", "B"}
    assert min(abs((m.start or 0) / RATE - 14.5) for m in change.marks or ()) < 0.5
    assert {m.value for m in alone.marks or ()} == {"A"}, "one person speaks alone"
    assert none.marks == ()
