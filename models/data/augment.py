"""Data augmentation: speed, noise and telephone on the waveform, SpecAugment on the features.

All randomness comes from the generator that is passed in; the same generator state gives the same result.
Shape suffixes: S samples, T frames, M mel bins.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from functools import cache

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from voxmill.manifests.config_base import Settings
from voxmill.manifests.records import SAMPLE_RATE, Bandwidth
from voxmill.models.common.seeds import Generator, choice, integer, uniform

_MU = 255.0
"""Steepness of the mu-law of G.711."""


class SpecAugmentConfig(Settings):
    """SpecAugment (arXiv 1904.08779), with WeNet's defaults. Sizes are upper bounds; each is drawn uniformly from 0 up."""

    num_bands: int = 2
    """Masks in frequency."""
    band_mels: int = 30
    """Mel bands of one at most."""
    num_gaps: int = 2
    """Masks in time."""
    gap_frames: int = 50
    """Feature frames of one at most."""
    gap_share: float = 0.2
    """Share of the utterance that a mask in time covers at most."""
    num_echoes: int = 3
    """Stretches of time that are replaced by an earlier stretch (WeNet's `spec_sub`)."""
    echo_frames: int = 30
    """Feature frames of one at most."""


class AugmentConfig(Settings):
    """How often each augmentation is applied to an utterance in training."""

    speeds: tuple[float, ...] = (0.9, 1.0, 1.1)
    """Speed factors, of tempo and pitch together; one is drawn for each utterance."""
    noise: float = Field(default=0.3, ge=0, le=1)
    """Probability to add noise."""
    snr_db: tuple[float, float] = (5.0, 25.0)
    """Least and greatest ratio of speech to added noise (dB); lower is noisier."""
    telephone: float = Field(default=0.3, ge=0, le=1)
    """Probability to simulate a telephone on a wide-band utterance, which then counts as narrow-band."""
    mu_law: float = Field(default=0.5, ge=0, le=1)
    """Share of these that are also quantised by G.711's mu-law."""
    spec: SpecAugmentConfig | None = SpecAugmentConfig()
    """Masks on the features; null: none."""


def augment_wave(
    wave_S: Tensor, bandwidth: Bandwidth, config: AugmentConfig, generator: Generator, noises: Sequence[Tensor] = ()
) -> tuple[Tensor, Bandwidth]:
    """The augmented waveform and the bandwidth that it now has. Without recorded `noises`, coloured noise is made."""
    speed = config.speeds[choice(generator, [1.0] * len(config.speeds))] if config.speeds else 1.0
    wave_S = change_speed(wave_S, speed)
    if uniform(generator) < config.noise:
        noise_S = noises[integer(generator, 0, len(noises) - 1)] if noises else coloured_noise(len(wave_S), generator)
        wave_S = add_noise(wave_S, noise_S, uniform(generator, *config.snr_db), generator)
    if bandwidth == "wide" and uniform(generator) < config.telephone:
        wave_S, bandwidth = telephone(wave_S, mu_law=uniform(generator) < config.mu_law), "narrow"
    return wave_S, bandwidth


def resample(wave_S: Tensor, num_samples: int) -> Tensor:
    """The same sound in another number of samples: the spectrum is cut off or padded with zeros, so the band limit is exact."""
    if num_samples == len(wave_S) or not len(wave_S):
        return wave_S
    spectrum = torch.fft.rfft(wave_S)[: num_samples // 2 + 1]
    result_S: Tensor = torch.fft.irfft(spectrum, n=num_samples) * (num_samples / len(wave_S))
    return result_S


@cache
def smooth_size(at_least: int) -> int:
    """The next size with no prime factors but 2, 3 and 5: a Fourier transform of another size may take several times as long.

    >>> [smooth_size(size) for size in (1, 7, 88_889)]
    [1, 8, 90000]
    """
    size = max(1, at_least)
    while True:
        rest = size
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return size
        size += 1


def change_speed(wave_S: Tensor, speed: float) -> Tensor:
    """The sound at another speed; 1.1 is ten per cent faster, and higher in pitch."""
    ratio = Fraction(speed).limit_denominator(1000)
    unit = smooth_size(math.ceil(len(wave_S) / ratio.numerator))
    padded_S = functional.pad(wave_S, (0, unit * ratio.numerator - len(wave_S)))
    return resample(padded_S, unit * ratio.denominator)[: max(1, round(len(wave_S) / speed))]


def telephone(wave_S: Tensor, *, mu_law: bool = False) -> Tensor:
    """The sound after a telephone: resampled to 8 kHz and back, with `mu_law` also quantised to 8 bits a sample."""
    half = smooth_size(math.ceil(len(wave_S) / 2))
    narrow_S = resample(functional.pad(wave_S, (0, 2 * half - len(wave_S))), half)
    return resample(companded(narrow_S) if mu_law else narrow_S, 2 * half)[: len(wave_S)]


def companded(wave_S: Tensor) -> Tensor:
    """The waveform quantised to the 256 levels of G.711's mu-law."""
    loud_S = torch.log1p(_MU * wave_S.abs().clamp_max(1.0)) / math.log1p(_MU)
    coarse_S = (loud_S * 127).round() / 127
    return wave_S.sign() * torch.expm1(coarse_S * math.log1p(_MU)) / _MU


def coloured_noise(num_samples: int, generator: Generator) -> Tensor:
    """Noise whose power falls as 1 / frequency ^ a, with a drawn from [0, 2): 0 is white, 1 pink, 2 brown noise."""
    size = smooth_size(num_samples)
    spectrum = torch.fft.rfft(torch.randn(size, generator=generator))
    hertz = torch.fft.rfftfreq(size, d=1 / SAMPLE_RATE).clamp_min(20.0)
    noise_S: Tensor = torch.fft.irfft(spectrum * hertz ** (-uniform(generator, 0, 2) / 2), n=size)
    return noise_S[:num_samples]


def add_noise(wave_S: Tensor, noise_S: Tensor, snr_db: float, generator: Generator) -> Tensor:
    """Speech plus noise at a signal-to-noise ratio (dB) over the whole utterance. Shorter noise is repeated; silence stays as
    it is."""
    start = integer(generator, 0, max(0, len(noise_S) - len(wave_S)))
    noise_S = noise_S[start:].repeat(math.ceil(len(wave_S) / max(1, len(noise_S) - start)))[: len(wave_S)]
    speech, noise = float(wave_S.square().mean()), float(noise_S.square().mean())
    if speech == 0.0 or noise == 0.0:
        return wave_S  # no ratio can be set against silence
    return wave_S + noise_S * math.sqrt(speech / noise * 10 ** (-snr_db / 10))


def spec_augment(features_TM: Tensor, config: SpecAugmentConfig, generator: Generator) -> Tensor:
    """A copy of the features with masks filled by the utterance's mean, and stretches of time replaced by earlier ones."""
    features_TM = features_TM.clone()
    num_frames, num_mels = features_TM.shape
    if not num_frames:
        return features_TM
    mean = features_TM.mean()
    for _ in range(config.num_echoes):
        start, stop = _stretch(num_frames, min(config.echo_frames, num_frames), generator)
        back = integer(generator, 0, start)
        features_TM[start:stop] = features_TM[start - back : stop - back].clone()
    for _ in range(config.num_gaps):
        start, stop = _stretch(num_frames, min(config.gap_frames, int(config.gap_share * num_frames)), generator)
        features_TM[start:stop] = mean
    for _ in range(config.num_bands):
        low, high = _stretch(num_mels, min(config.band_mels, num_mels), generator)
        features_TM[:, low:high] = mean
    return features_TM


def _stretch(length: int, longest: int, generator: Generator) -> tuple[int, int]:
    """A random interval [start, stop) within `length`, of 0 to `longest` steps."""
    size = integer(generator, 0, longest)
    start = integer(generator, 0, length - size)
    return start, start + size
