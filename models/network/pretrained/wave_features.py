"""The waveform itself as features, for encoders that hear samples.

Shape suffixes: S samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from voxmill.manifests.records import SAMPLE_RATE
from voxmill.models.common.seeds import Generator

LEAST_VARIANCE = 1e-7
"""Added to the variance before it divides, as in transformers."""


class Unspectral:
    """Features whose frames are no spectra, of utterances of any length. See `SoundFeatures`."""

    __slots__ = ()

    @property
    def spectral(self) -> bool:
        """Neighbouring numbers of a frame are no band."""
        return False

    @property
    def longest(self) -> int | None:
        """Utterances of any length are heard."""
        return None


@dataclass(frozen=True, slots=True)
class WaveFeatures(Unspectral):
    """Samples, which convolutions without padding make frames of. See `SoundFeatures`."""

    kernels: tuple[int, ...]
    strides: tuple[int, ...]
    normal: bool
    """Each utterance is brought to mean 0 and variance 1."""

    @property
    def width(self) -> int:
        """One number."""
        return 1

    @property
    def shift_ms(self) -> float:
        """A sample's duration."""
        return 1000 / SAMPLE_RATE

    def of(self, wave_S: Tensor, generator: Generator | None = None) -> Tensor:
        """The samples, shape (S, 1)."""
        if self.normal and len(wave_S):
            wave_S = (wave_S - wave_S.mean()) / (wave_S.var(unbiased=False) + LEAST_VARIANCE).sqrt()
        return wave_S[:, None]

    def num_encoded(self, length: int) -> int:
        """Frames of so many samples."""
        for kernel, stride in zip(self.kernels, self.strides, strict=True):
            length = max(0, (length - kernel) // stride + 1)
        return length


def wave_features(kernels: Sequence[int], strides: Sequence[int], *, normal: bool) -> WaveFeatures:
    """Features of a network with these convolutions."""
    return WaveFeatures(tuple(kernels), tuple(strides), normal)
