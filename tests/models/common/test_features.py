from __future__ import annotations

import pytest
import torch

from voxmill.models.common.features import FbankConfig, fbank, statistics
from voxmill.models.common.seeds import seeded

kaldi = pytest.importorskip("torchaudio.compliance.kaldi")


def wave(num_samples: int = 16_000) -> torch.Tensor:
    tone = torch.sin(torch.arange(num_samples) * 0.15) * torch.linspace(0, 0.5, num_samples)
    return tone + 0.02 * torch.randn(num_samples, generator=seeded("wave", num_samples)) + 0.1


@pytest.mark.parametrize("num_samples", [400, 401, 12_345])
@pytest.mark.parametrize("config", [FbankConfig(), FbankConfig(num_mels=40, low_hz=60, high_hz=7000, shift_ms=12.5)])
def test_it_is_kaldis_fbank(num_samples: int, config: FbankConfig) -> None:
    ours = fbank(wave(num_samples), config)
    theirs = kaldi.fbank(
        wave(num_samples)[None] * 32768, num_mel_bins=config.num_mels, sample_frequency=16_000, dither=0.0,
        low_freq=config.low_hz, high_freq=config.high_hz, frame_shift=config.shift_ms, energy_floor=0.0,
    )  # fmt: skip
    assert ours.shape == theirs.shape == (config.num_frames(num_samples), config.num_mels)
    torch.testing.assert_close(ours, theirs, atol=2e-4, rtol=1e-4)


def test_digital_silence_is_finite() -> None:
    assert torch.isfinite(fbank(torch.zeros(800), FbankConfig())).all()


@pytest.mark.parametrize("num_samples", [0, 1, 399])
def test_less_than_a_window_has_no_frame(num_samples: int) -> None:
    assert fbank(torch.ones(num_samples), FbankConfig()).shape == (0, 80)


def test_dither_is_the_generators() -> None:
    config = FbankConfig(dither=1.0)
    once, again, other = (fbank(wave(), config, seeded(name)) for name in ("a", "a", "b"))
    assert torch.equal(once, again)
    assert not torch.equal(once, other)
    assert torch.equal(fbank(wave(), config), fbank(wave(), FbankConfig()))  # no generator: no dither


def test_statistics_are_those_of_all_frames_together() -> None:
    parts = [3 + 2 * torch.randn(n, 5, generator=seeded(n)) for n in (10, 0, 300)]
    mean, std = statistics(parts)
    torch.testing.assert_close(mean, torch.cat(parts).mean(0))
    torch.testing.assert_close(std, torch.cat(parts).std(0, correction=0))


def test_statistics_of_nothing_are_an_error() -> None:
    with pytest.raises(ValueError, match="no frame"):
        statistics([torch.zeros(0, 80)])
