"""What an encoder hears, made from a waveform: the interface. `FbankConfig` is one of them; pretrained encoders bring their own.

Shape suffixes: S samples, T feature frames, M numbers of one.
"""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from voxmill.models.common.seeds import Generator


class SoundFeatures(Protocol):
    """How sound becomes the input of an encoder. The loader computes it, before the network."""

    @property
    def width(self) -> int:
        """Numbers of a feature frame (M): mel bins, or 1 for a waveform."""
        ...

    @property
    def shift_ms(self) -> float:
        """From frame to frame (ms)."""
        ...

    @property
    def spectral(self) -> bool:
        """Whether a frame is a spectrum, whose bands SpecAugment may mask."""
        ...

    @property
    def longest(self) -> int | None:
        """Most feature frames of an utterance; None: any number."""
        ...

    def of(self, wave_S: Tensor, generator: Generator | None = None) -> Tensor:
        """Features, shape (T, M), of 16 kHz mono samples in [-1, 1]. `generator`: for what is random in training, such as dither."""
        ...

    def num_encoded(self, length: int) -> int:
        """Frames that the encoder makes of so many feature frames; 0: the utterance is too short for it."""
        ...
