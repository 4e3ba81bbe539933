from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from voxmill.models.common.seeds import seeded
from voxmill.models.data.augment import (
    AugmentConfig,
    SpecAugmentConfig,
    add_noise,
    augment_wave,
    change_speed,
    coloured_noise,
    companded,
    resample,
    spec_augment,
    telephone,
)  # fmt: skip


def tone(hertz: float, num_samples: int = 8000) -> torch.Tensor:
    return 0.5 * torch.sin(torch.arange(num_samples) * (2 * torch.pi * hertz / 16_000))


def power(wave: torch.Tensor) -> float:
    return float(wave.square().mean())


def test_resampling_there_and_back_is_exact_below_the_lower_limit() -> None:
    wave = tone(1000)
    torch.testing.assert_close(resample(resample(wave, 12_000), 8000), wave, atol=1e-5, rtol=0)
    torch.testing.assert_close(resample(wave, 4000), wave[::2], atol=1e-4, rtol=0)


def test_speed_moves_tempo_and_pitch() -> None:
    fast = change_speed(tone(1000), 1.25)
    assert len(fast) == 6400
    assert int(torch.fft.rfft(fast).abs().argmax()) * 16_000 / 6400 == pytest.approx(1250)


def test_a_telephone_lets_nothing_above_4_khz_through() -> None:
    assert power(telephone(tone(6000))) < 1e-8
    assert power(telephone(tone(1000))) == pytest.approx(power(tone(1000)), rel=1e-3)
    torch.testing.assert_close(telephone(tone(1000), mu_law=True), tone(1000), atol=0.02, rtol=0)


def test_mu_law_has_255_levels_and_keeps_them() -> None:
    levels = companded(torch.linspace(-1, 1, 100_001))
    assert len(levels.unique()) == 255  # 127 to each side, and one zero
    torch.testing.assert_close(companded(levels), levels)


@given(snr=st.floats(-10, 40), length=st.integers(1, 20_000))
def test_noise_has_the_ratio_asked_for(snr: float, length: int) -> None:
    wave, noise = tone(440), 0.1 + torch.rand(length, generator=seeded(length))
    added = add_noise(wave, noise, snr, seeded("where")).double() - wave.double()
    assert 10 * torch.log10(torch.tensor(power(wave) / power(added))) == pytest.approx(snr, abs=0.1)


def test_silence_gets_no_noise() -> None:
    assert not add_noise(torch.zeros(100), torch.ones(100), 10, seeded()).any()


def test_the_bandwidth_follows_the_telephone() -> None:
    config = AugmentConfig(speeds=(1.0,), noise=0, telephone=1)
    wave, bandwidth = augment_wave(tone(6000), "wide", config, seeded(1))
    assert (bandwidth, power(wave) < 1e-8) == ("narrow", True)
    untouched, bandwidth = augment_wave(tone(1000), "narrow", config, seeded(1))
    assert bandwidth == "narrow"
    assert torch.equal(untouched, tone(1000))


def test_a_seed_decides_everything() -> None:
    once, again, other = (augment_wave(tone(440), "wide", AugmentConfig(noise=1), seeded(name))[0] for name in "aab")
    assert torch.equal(once, again)
    assert once.shape != other.shape or not torch.equal(once, other)


def test_noise_comes_in_colours() -> None:
    assert coloured_noise(8000, seeded(1)).isfinite().all()


@pytest.mark.parametrize("frames", [0, 1, 7, 200])
def test_spec_augment_masks_and_leaves_its_input_alone(frames: int) -> None:
    features = torch.randn(frames, 80, generator=seeded(frames))
    before = features.clone()
    masked = spec_augment(features, SpecAugmentConfig(), seeded("mask", 3))
    assert torch.equal(features, before)
    assert masked.shape == features.shape
    assert frames < 200 or 0.02 < float((masked != features).float().mean()) < 0.9


def test_gaps_are_bounded_by_their_share() -> None:
    features = torch.randn(40, 8, generator=seeded(1))
    config = SpecAugmentConfig(num_bands=0, num_echoes=0, num_gaps=1, gap_frames=50, gap_share=0.2)
    changed = [int((spec_augment(features, config, seeded(n)) != features).any(1).sum()) for n in range(50)]
    assert 0 < max(changed) <= 8
