"""Whisper's log mel features (arXiv 2212.04356): 25 ms windows, Slaney's mel bands, the range of 8 decades below the loudest.

Shape suffixes: S samples, T frames, Q frequency bins, M mel bins.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional

from voxmill.manifests.records import SAMPLE_RATE
from voxmill.models.common.seeds import Generator

_WINDOW, _SHIFT = 400, 160
"""Samples of a window, and from window to window."""
QUIETEST = -1.5
"""What digital silence is as a feature."""
RANGE = 2.0
"""How far below the loudest number of an utterance its features can be."""
_LINEAR_HZ, _LINEAR_BANDS, _LOG_STEP = 1000.0, 15.0, math.log(6.4) / 27
"""Slaney's mel scale: linear up to 1 kHz, which is band 15, and then 27 bands for each factor of 6.4."""


@dataclass(frozen=True, slots=True)
class WhisperFeatures:
    """Log mel features of an utterance, without the silence that fills Whisper's window. See `SoundFeatures`."""

    num_mels: int
    window_frames: int
    """Frames of the window: 3,000, which are 30 s."""

    @property
    def width(self) -> int:
        """Mel bins."""
        return self.num_mels

    @property
    def shift_ms(self) -> float:
        """10 ms."""
        return 1000 * _SHIFT / SAMPLE_RATE

    @property
    def spectral(self) -> bool:
        """A frame is a spectrum."""
        return True

    @property
    def longest(self) -> int | None:
        """As many frames as the window has."""
        return self.window_frames

    def of(self, wave_S: Tensor, generator: Generator | None = None) -> Tensor:
        """Features, shape (T, M): every frame whose window reaches into the utterance. What follows it in the window is quiet, alike in all
        frames, and is filled in by the network."""
        if not len(wave_S):
            return wave_S.new_zeros(0, self.num_mels)
        frames = math.ceil((len(wave_S) + _WINDOW // 2) / _SHIFT)
        if len(wave_S) <= self.window_frames * _SHIFT:
            frames = min(frames, self.window_frames)  # a full window ends in the midst of its last frames
        padded_S = functional.pad(wave_S, (0, frames * _SHIFT + _WINDOW - len(wave_S)))
        spectrum_QT = torch.stft(padded_S, _WINDOW, _SHIFT, window=torch.hann_window(_WINDOW), return_complex=True)
        power_TQ = spectrum_QT[:, :frames].abs().square().t()
        log_TM = (power_TQ @ _slaney_bank(self.num_mels)).clamp_min(1e-10).log10()
        return (torch.maximum(log_TM, log_TM.max() - 4 * RANGE) + 4.0) / 4.0

    def num_encoded(self, length: int) -> int:
        """Half as many frames."""
        return (length + 1) // 2


@cache
def _slaney_bank(num_mels: int) -> Tensor:
    """Triangular filters of equal area, shape (Q, M)."""
    top = _mel(SAMPLE_RATE / 2)
    edges = torch.tensor([_hertz(top * index / (num_mels + 1)) for index in range(num_mels + 2)], dtype=torch.float64)
    left_M, centre_M, right_M = edges[:-2], edges[1:-1], edges[2:]
    hertz_Q1 = torch.linspace(0, SAMPLE_RATE / 2, _WINDOW // 2 + 1, dtype=torch.float64)[:, None]
    up_QM, down_QM = (hertz_Q1 - left_M) / (centre_M - left_M), (right_M - hertz_Q1) / (right_M - centre_M)
    return (torch.minimum(up_QM, down_QM).clamp_min(0) * 2 / (right_M - left_M)).float()


def _mel(hertz: float) -> float:
    if hertz < _LINEAR_HZ:
        return hertz * _LINEAR_BANDS / _LINEAR_HZ
    return _LINEAR_BANDS + math.log(hertz / _LINEAR_HZ) / _LOG_STEP


def _hertz(mel: float) -> float:
    if mel < _LINEAR_BANDS:
        return mel * _LINEAR_HZ / _LINEAR_BANDS
    return _LINEAR_HZ * math.exp(_LOG_STEP * (mel - _LINEAR_BANDS))
