"""Whisper's log mel features (arXiv 2212.04356): 25 ms windows, Slaney's mel bands, the range of 8 decades below the loudest.

Shape suffixes: S samples, T frames, Q frequency bins, M mel bins.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from voxmill.manifests.records import SAMPLE_RATE
from voxmill.models.common.seeds import Generator
from voxmill.models.network.pretrained.mel_filters import slaney_filters

_WINDOW, _SHIFT = 400, 160
"""Samples of a window, and from window to window."""
QUIETEST = -1.5
"""What digital silence is as a feature."""
RANGE = 2.0
"""How far below the loudest number of an utterance its features can be."""


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
        log_TM = (power_TQ @ slaney_filters(self.num_mels, _WINDOW)).clamp_min(1e-10).log10()
        return (torch.maximum(log_TM, log_TM.max() - 4 * RANGE) + 4.0) / 4.0

    def num_encoded(self, length: int) -> int:
        """Half as many frames."""
        return (length + 1) // 2
