"""More voices, rooms and telephones than the shards hold: what training does to a waveform and to its features.

Everything random comes from the generator that is handed in; the same generator gives the same sound.
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
    """Masks on the features; sizes are upper bounds, each drawn anew. WeNet's values."""

    num_bands: int = 2
    """Stretches of mel bands that are masked."""
    band_mels: int = 30
    """Bands in one of them at most."""
    num_gaps: int = 2
    """Stretches of time that are masked."""
    gap_frames: int = 50
    """Frames in one of them at most."""
    gap_share: float = 0.2
    """A gap is never longer than this share of the utterance."""
    num_echoes: int = 3
    """Stretches that are replaced by an earlier one."""
    echo_frames: int = 30
    """A stretch of this many frames at most is replaced by an earlier one (spectral substitution)."""


class AugmentConfig(Settings):
    """How often each thing happens to an utterance in training."""

    speeds: tuple[float, ...] = (0.9, 1.0, 1.1)
    """Tempo and pitch together, one drawn for each utterance."""
    noise: float = Field(default=0.3, ge=0, le=1)
    """Probability of added noise."""
    snr_db: tuple[float, float] = (5.0, 25.0)
    """Least and greatest ratio of speech to added noise (dB); lower is noisier."""
    telephone: float = Field(default=0.3, ge=0, le=1)
    """Probability that a wide-band utterance is sent through a telephone; its bandwidth is then narrow."""
    mu_law: float = Field(default=0.5, ge=0, le=1)
    """Of those, the share that G.711 companding quantises as well."""
    spec: SpecAugmentConfig | None = SpecAugmentConfig()
    """Masks on the features. Null: none."""


def augment_wave(
    wave_S: Tensor, bandwidth: Bandwidth, config: AugmentConfig, generator: Generator, noises: Sequence[Tensor] = ()
) -> tuple[Tensor, Bandwidth]:
    """A varied waveform, and the bandwidth it now has. Without recorded noises, coloured noise is made."""
    speed = config.speeds[choice(generator, [1.0] * len(config.speeds))] if config.speeds else 1.0
    wave_S = change_speed(wave_S, speed)
    if uniform(generator) < config.noise:
        noise_S = noises[integer(generator, 0, len(noises) - 1)] if noises else coloured_noise(len(wave_S), generator)
        wave_S = add_noise(wave_S, noise_S, uniform(generator, *config.snr_db), generator)
    if bandwidth == "wide" and uniform(generator) < config.telephone:
        wave_S, bandwidth = telephone(wave_S, mu_law=uniform(generator) < config.mu_law), "narrow"
    return wave_S, bandwidth


def resample(wave_S: Tensor, num_samples: int) -> Tensor:
    """The same sound in another number of samples, band-limited exactly: the spectrum is cut or filled with zeros."""
    if num_samples == len(wave_S) or not len(wave_S):
        return wave_S
    spectrum = torch.fft.rfft(wave_S)[: num_samples // 2 + 1]
    result_S: Tensor = torch.fft.irfft(spectrum, n=num_samples) * (num_samples / len(wave_S))
    return result_S


@cache
def smooth_size(at_least: int) -> int:
    """The next size whose prime factors are 2, 3 and 5. A Fourier transform of any other may take several times as long.

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
    """1.1 is ten per cent faster, and higher."""
    ratio = Fraction(speed).limit_denominator(1000)
    unit = smooth_size(math.ceil(len(wave_S) / ratio.numerator))
    padded_S = functional.pad(wave_S, (0, unit * ratio.numerator - len(wave_S)))
    return resample(padded_S, unit * ratio.denominator)[: max(1, round(len(wave_S) / speed))]


def telephone(wave_S: Tensor, *, mu_law: bool = False) -> Tensor:
    """What is left after 8 kHz: nothing above 4 kHz; with `mu_law`, 8 bits a sample as well."""
    half = smooth_size(math.ceil(len(wave_S) / 2))
    narrow_S = resample(functional.pad(wave_S, (0, 2 * half - len(wave_S))), half)
    return resample(companded(narrow_S) if mu_law else narrow_S, 2 * half)[: len(wave_S)]


def companded(wave_S: Tensor) -> Tensor:
    """G.711's mu-law to 256 levels and back."""
    loud_S = torch.log1p(_MU * wave_S.abs().clamp_max(1.0)) / math.log1p(_MU)
    coarse_S = (loud_S * 127).round() / 127
    return wave_S.sign() * torch.expm1(coarse_S * math.log1p(_MU)) / _MU


def coloured_noise(num_samples: int, generator: Generator) -> Tensor:
    """Noise whose power falls with frequency to a random power: 0 is white, 1 pink, 2 brown."""
    size = smooth_size(num_samples)
    spectrum = torch.fft.rfft(torch.randn(size, generator=generator))
    hertz = torch.fft.rfftfreq(size, d=1 / SAMPLE_RATE).clamp_min(20.0)
    noise_S: Tensor = torch.fft.irfft(spectrum * hertz ** (-uniform(generator, 0, 2) / 2), n=size)
    return noise_S[:num_samples]


def add_noise(wave_S: Tensor, noise_S: Tensor, snr_db: float, generator: Generator) -> Tensor:
    """Speech with noise under it, at a ratio of their powers over the whole utterance. Short noise repeats."""
    start = integer(generator, 0, max(0, len(noise_S) - len(wave_S)))
    noise_S = noise_S[start:].repeat(math.ceil(len(wave_S) / max(1, len(noise_S) - start)))[: len(wave_S)]
    speech, noise = float(wave_S.square().mean()), float(noise_S.square().mean())
    if speech == 0.0 or noise == 0.0:
        return wave_S  # no ratio can be set against silence
    return wave_S + noise_S * math.sqrt(speech / noise * 10 ** (-snr_db / 10))


def spec_augment(features_TM: Tensor, config: SpecAugmentConfig, generator: Generator) -> Tensor:
    """Bands and gaps filled with the utterance's mean, and stretches replaced by earlier ones. Returns a copy."""
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
    """A random part of `length`, of 0 to `longest` steps."""
    size = integer(generator, 0, longest)
    start = integer(generator, 0, length - size)
    return start, start + size
