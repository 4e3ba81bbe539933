"""What makes recordings hard: white noise, babble, a narrow band; each a pure function of samples and a seeded generator."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from speech.waves import RATE, Pcm

Wave = NDArray[np.float64]
"""Mono samples at 16 kHz in the scale of 16-bit integers, shape (num_samples,)."""

PEAK = 32_000.0
"""Louder mixtures are turned down as a whole to this peak, so that nothing clips."""


def power(samples: Pcm | Wave) -> float:
    """Mean square."""
    return float(np.mean(np.square(samples, dtype=np.float64))) if len(samples) else 0.0


def white(length: int, rng: np.random.Generator) -> Wave:
    """Gaussian noise of power 1."""
    return rng.standard_normal(length)


def babble(voices: Sequence[Sequence[Pcm]], length: int, rng: np.random.Generator) -> Wave:
    """Everyone talking at once, of power 1: a talker per voice says the voice's clips in random order, all equally loud."""
    out = np.zeros(length)
    for clips in voices:
        order = rng.permutation(len(clips))
        line = np.zeros(0)
        while len(line) < length:
            line = np.concatenate([line, *(clips[i] for i in order)])
        start = int(rng.integers(len(line)))
        line = np.roll(line, -start)[:length]
        out += line / np.sqrt(max(power(line), 1.0))
    scaled: Wave = out / np.sqrt(power(out))
    return scaled


def add_noise(samples: Pcm, speech: Sequence[tuple[int, int]], noise: Wave, snr_db: float | Wave) -> Pcm:
    """`noise` (of power 1) under `samples`, `snr_db` below the mean power of the spans that hold speech.

    `snr_db` may be an array of one value a sample, for noise that comes and goes.
    """
    level = power(np.concatenate([samples[start:end] for start, end in speech]))
    return to_pcm(samples + noise * np.sqrt(level) * 10.0 ** (-np.asarray(snr_db) / 20))


def band_limit(samples: Pcm, low: float = 300.0, high: float = 3400.0) -> Pcm:
    """The band of a telephone line (Hz), with edges a tenth of an octave wide."""
    spectrum = np.fft.rfft(samples.astype(np.float64))
    frequency = np.fft.rfftfreq(len(samples), 1 / RATE)
    octaves = np.log2(np.maximum(frequency, 1.0))
    rise = np.clip((octaves - np.log2(low)) * 10 + 1, 0, 1)
    fall = np.clip((np.log2(high) - octaves) * 10 + 1, 0, 1)
    return to_pcm(np.fft.irfft(spectrum * rise * fall, len(samples)))


def to_pcm(samples: Wave) -> Pcm:
    """Rounded to 16 bit; turned down as a whole where it would clip."""
    peak = float(np.max(np.abs(samples), initial=0.0))
    return np.rint(samples * min(1.0, PEAK / peak) if peak > PEAK else samples).astype(np.int16)
