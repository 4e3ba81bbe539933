"""Log mel features as ESPnet's default front end makes them: centred windows, Slaney's mel bands, natural logarithm.

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

FLOOR = 1e-10
"""Smallest energy before the logarithm."""


@dataclass(frozen=True, slots=True)
class OwsmFeatures:
    """Log mel features of an utterance, without the silence that fills OWSM's window. See `SoundFeatures`."""

    num_mels: int
    size: int
    """Samples of a Fourier transform."""
    window: int
    """Samples under the window, in the middle of these."""
    shift: int
    """Samples from frame to frame."""
    window_samples: int
    """Samples of all that the encoder hears: 480,000, which are 30 s."""
    convolutions: tuple[tuple[int, int], ...]
    """Kernel and stride of each convolution that makes fewer frames."""

    @property
    def width(self) -> int:
        """Mel bins."""
        return self.num_mels

    @property
    def shift_ms(self) -> float:
        """From frame to frame."""
        return 1000 * self.shift / SAMPLE_RATE

    @property
    def spectral(self) -> bool:
        """A frame is a spectrum."""
        return True

    @property
    def longest(self) -> int | None:
        """As many frames as the window has."""
        return self.window_samples // self.shift + 1

    def of(self, wave_S: Tensor, generator: Generator | None = None) -> Tensor:
        """Features, shape (T, M): every frame whose window reaches into the utterance. What follows it is silence, and the network fills
        that in."""
        if not len(wave_S):
            return wave_S.new_zeros(0, self.num_mels)
        frames = math.ceil((len(wave_S) + self.window // 2) / self.shift)
        filled = max(
            len(wave_S), min(self.window_samples, frames * self.shift + self.size)
        )  # a full window is mirrored at its end
        spectrum_QT = torch.stft(
            functional.pad(wave_S, (0, filled - len(wave_S))), self.size, self.shift, self.window,
            window=torch.hann_window(self.window), return_complex=True,
        )  # fmt: skip
        power_TQ = spectrum_QT[:, :frames].abs().square().t()
        return (power_TQ @ slaney_filters(self.num_mels, self.size)).clamp_min(FLOOR).log()

    def num_encoded(self, length: int) -> int:
        """Frames left after the convolutions."""
        for kernel, stride in self.convolutions:
            length = max(0, (length - kernel) // stride + 1)
        return length
