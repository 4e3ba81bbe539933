"""The measured cut-off: real speech, band-limited, quiet, noisy, padded with silence."""

from __future__ import annotations

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from speech.packaged import BECKETT, PYANNOTE_SAMPLE
from voxmill.operators.decode.bandwidth import BandwidthConfig, Spectrum, bandwidth, cutoff_hz

Audio = NDArray[np.float32]
CONFIG = BandwidthConfig()
RATE = 16_000
RNG = np.random.default_rng(0)


def cutoff(audio: Audio) -> int | None:
    spectrum = Spectrum()
    spectrum.add(audio.astype(np.float32))
    return cutoff_hz(spectrum.histogram, CONFIG)


def through(audio: Audio, rate: int) -> Audio:
    """Down to `rate` and back up, as telephony reaches the web."""
    for start, end in ((RATE, rate), (rate, RATE)):
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(audio[None]), "flt", "mono")
        frame.sample_rate = start
        resampler = av.AudioResampler("flt", "mono", end)
        audio = np.concatenate([block.to_ndarray()[0] for block in [*resampler.resample(frame), *resampler.resample(None)]])
    return audio


@pytest.fixture(scope="module", params=["two_cities", "beckett"])
def voice(request: pytest.FixtureRequest, speech: Audio) -> Audio:
    return speech if request.param == "two_cities" else (BECKETT.samples() / 32768).astype(np.float32)


@pytest.mark.parametrize(("rate", "low", "high"), [(6_800, 3_300, 3_900), (8_000, 3_800, 4_500), (11_025, 5_300, 6_200)])
def test_follows_the_band_of_the_speech(voice: Audio, rate: int, low: int, high: int) -> None:
    measured = cutoff(through(voice, rate))
    assert measured is not None
    assert low <= measured <= high


def test_speech_of_full_band_is_wide(voice: Audio) -> None:
    measured = cutoff(voice)
    assert measured is not None
    assert measured >= 7_500


def test_a_real_telephone_call_in_a_16_khz_file_is_narrow() -> None:
    assert bandwidth(cutoff((PYANNOTE_SAMPLE.samples() / 32768).astype(np.float32)), CONFIG) == "narrow"


@pytest.mark.parametrize("padding", ["silence", "room"])
def test_silence_does_not_blur_it(voice: Audio, padding: str) -> None:
    around = RNG.normal(0, 0 if padding == "silence" else 1e-4, 60 * RATE).astype(np.float32)
    for audio, expected in ((voice, "wide"), (through(voice, 8_000), "narrow")):
        assert bandwidth(cutoff(np.concatenate([around, audio, around])), CONFIG) == expected


def test_hiss_below_the_speech_does_not_make_it_wide(voice: Audio) -> None:
    hiss = np.sqrt((voice**2).mean()) * 10 ** (-40 / 20)
    narrow = through(voice, 8_000)
    assert bandwidth(cutoff(narrow + RNG.normal(0, hiss, len(narrow)).astype(np.float32)), CONFIG) == "narrow"
    assert bandwidth(cutoff(voice + RNG.normal(0, hiss, len(voice)).astype(np.float32)), CONFIG) == "wide"


def test_loud_noise_up_to_8_khz_is_a_wide_channel(voice: Audio) -> None:
    noise = RNG.normal(0, np.sqrt((voice**2).mean()), len(voice)).astype(np.float32)
    assert bandwidth(cutoff(voice + noise), CONFIG) == "wide"


def test_level_and_clicks_do_not_matter(voice: Audio) -> None:
    for audio, expected in ((voice, "wide"), (through(voice, 8_000), "narrow")):
        quiet = (np.rint(audio * 1024) / 32768).astype(np.float32)
        clicks = audio.copy()
        clicks[:: 10 * RATE] = 1
        assert bandwidth(cutoff(quiet), CONFIG) == bandwidth(cutoff(clicks), CONFIG) == expected


def test_nothing_to_measure_is_unknown() -> None:
    assert cutoff(np.zeros(10 * RATE, np.float32)) is None
    assert cutoff(np.zeros(0, np.float32)) is None
    assert cutoff(RNG.normal(0, 1e-5, 10 * RATE).astype(np.float32)) is None


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 4_000), max_size=8))
def test_blocks_of_any_size_accumulate_the_same(sizes: list[int]) -> None:
    audio = np.random.default_rng(1).normal(0, 0.1, 32_000).astype(np.float32)
    whole, parts = Spectrum(), Spectrum()
    whole.add(audio)
    for block in np.split(audio, np.cumsum(sizes)):
        parts.add(block)
    assert np.array_equal(whole.histogram, parts.histogram)
