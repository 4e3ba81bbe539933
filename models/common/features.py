"""Log mel filterbank features, computed as Kaldi does, in torch; and how many frames of them the encoder makes one of its own.

Shape suffixes: S samples, T frames, W samples of a window, Q frequency bins, M mel bins.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from voxmill.manifests.config_base import Settings
from voxmill.manifests.records import SAMPLE_RATE
from voxmill.models.common.seeds import Generator

_FULL_SCALE = 32768.0
"""Kaldi reads 16-bit integers; we hold samples in [-1, 1]."""
_FLOOR = torch.finfo(torch.float32).eps
"""Smallest energy before the logarithm, as in Kaldi."""
_PREEMPHASIS = 0.97


MIN_FRAMES = 7
"""Feature frames under one frame of the encoder (two convolutions of kernel 3 at stride 2); a shorter utterance gives none."""


class FbankConfig(Settings):
    """How features are computed. Saved with a model, which can only be used with the features it was trained on."""

    num_mels: int = 80
    """Mel bands of a frame: more resolve pitch and consonants better, at more computing."""
    window_ms: float = 25.0
    """Length of sound under one frame (ms)."""
    shift_ms: float = 10.0
    """From frame to frame (ms)."""
    low_hz: float = 20.0
    """Lower edge of the lowest band (Hz)."""
    high_hz: float = SAMPLE_RATE / 2
    """Upper edge of the highest band (Hz)."""
    dither: float = 0.0
    """Standard deviation of the noise added to each 16-bit sample; needs a generator. WeNet trains with 1."""

    @property
    def window(self) -> int:
        """Samples of a window."""
        return int(SAMPLE_RATE * self.window_ms / 1000)

    @property
    def shift(self) -> int:
        """Samples from the start of a frame to the start of the next."""
        return int(SAMPLE_RATE * self.shift_ms / 1000)

    def num_frames(self, num_samples: int) -> int:
        """Feature frames of so many samples. Whole windows only, as Kaldi's `snip_edges`: 0 where the audio is shorter than
        one."""
        return 0 if num_samples < self.window else 1 + (num_samples - self.window) // self.shift

    @property
    def width(self) -> int:
        """Numbers of a feature frame, as all `SoundFeatures` say it."""
        return self.num_mels

    @property
    def spectral(self) -> bool:
        """A frame is a spectrum."""
        return True

    @property
    def longest(self) -> int | None:
        """Utterances of any length are heard."""
        return None

    def of(self, wave_S: Tensor, generator: Generator | None = None) -> Tensor:
        """`fbank` of a waveform, shape (T, M)."""
        return fbank(wave_S, self, generator)

    def num_encoded(self, length: int) -> int:
        """Frames of the encoder, a quarter as many."""
        return num_subsampled(length)


def fbank(wave_S: Tensor, config: FbankConfig, generator: Generator | None = None) -> Tensor:
    """Log mel energies, shape (T, M), of 16 kHz mono samples in [-1, 1]. Adds dither only if a generator is given."""
    if config.num_frames(len(wave_S)) == 0:
        return wave_S.new_zeros(0, config.num_mels)
    frames_TW = (wave_S * _FULL_SCALE).unfold(0, config.window, config.shift)
    if config.dither and generator is not None:
        frames_TW = frames_TW + config.dither * torch.randn(frames_TW.shape, generator=generator)
    frames_TW = frames_TW - frames_TW.mean(dim=1, keepdim=True)
    previous_TW = functional.pad(frames_TW, (1, 0), mode="replicate")[:, :-1]
    frames_TW = (frames_TW - _PREEMPHASIS * previous_TW) * _povey_window(config.window)
    size = 1 << (config.window - 1).bit_length()
    power_TQ = torch.fft.rfft(frames_TW, n=size).abs().square()
    return (power_TQ @ _mel_bank(config, size)).clamp_min(_FLOOR).log()


@cache
def _povey_window(length: int) -> Tensor:
    """Kaldi's default window: Hann to the power 0.85, close to Hamming's but zero at its ends."""
    window: Tensor = torch.hann_window(length, periodic=False) ** 0.85
    return window


@cache
def _mel_bank(config: FbankConfig, size: int) -> Tensor:
    """Triangular filters on the mel axis, shape (Q, M). The highest frequency bin is not used, as in Kaldi."""
    edges = torch.linspace(_mel(config.low_hz), _mel(config.high_hz), config.num_mels + 2, dtype=torch.float64)
    left_M, centre_M, right_M = edges[:-2], edges[1:-1], edges[2:]
    bins_Q = torch.arange(size // 2 + 1, dtype=torch.float64) * (SAMPLE_RATE / size)
    mel_Q1 = (1127.0 * torch.log1p(bins_Q / 700.0))[:, None]
    bank_QM = torch.minimum((mel_Q1 - left_M) / (centre_M - left_M), (right_M - mel_Q1) / (right_M - centre_M)).clamp_min(0)
    bank_QM[-1] = 0
    return bank_QM.float()


def _mel(hertz: float) -> float:
    return 1127.0 * math.log1p(hertz / 700.0)


class Statistics(NamedTuple):
    """Mean and standard deviation of each mel bin over a corpus, with which a model normalises (global CMVN)."""

    mean_M: Tensor
    std_M: Tensor


def statistics(features: Iterable[Tensor]) -> Statistics:
    """Statistics over all frames of an iterable of features (T, M), in one pass. Raises ValueError if there is no frame."""
    count, total_M, square_M = 0, torch.zeros(()), torch.zeros(())
    for one_TM in features:
        count += len(one_TM)
        total_M = total_M + one_TM.double().sum(0)
        square_M = square_M + one_TM.double().square().sum(0)
    if not count:
        raise ValueError("no frame to take statistics of: every utterance is shorter than one window")
    mean_M = total_M / count
    return Statistics(mean_M.float(), (square_M / count - mean_M.square()).clamp_min(1e-8).sqrt().float())


def num_subsampled(length: int) -> int:
    """Positions left of `length` after two convolutions of kernel 3 at stride 2; used for time and for frequency."""
    return ((length - 1) // 2 - 1) // 2 if length >= MIN_FRAMES else 0
