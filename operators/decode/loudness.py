"""Level of the speech in a recording, and the gain that brings it to where models work.

Recognisers and detectors are trained on speech at common recording levels: at -50 dB they miss what a person understands.
Within `tolerance_db` of `target_db` a recording stays bit by bit as decoded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from voxmill.manifests.config_base import Settings
from voxmill.operators.contract.adapters import Audio

KNEE = 0.9
"""Amplified samples above this level are compressed so that they never reach full scale."""


class LevelConfig(Settings):
    """Level adjustment: very soft and very loud speech is brought to one level before any model reads it."""

    target_db: float = Field(default=-26.0, le=-6.0)
    """Speech outside the tolerance is brought to this level (dB, 0 is full scale; mean power between 250 Hz and
    4 kHz during speech)."""
    tolerance_db: float = Field(default=12.0, ge=0.0)
    """Speech within so many dB of the target stays bit by bit as decoded, as most recordings do."""
    most_db: float = Field(default=80.0, ge=0.0)
    """Largest gain (dB); 0: recordings are never amplified."""


class Levels:
    """Histogram of frame levels of one channel."""

    STEP, FLOOR, BINS = 2.0, -120.0, 64
    """Bin width (dB), level of the first bin (dB), number of bins."""

    SILENT = -105.0
    """Frames below this (dB) are digital silence; 16-bit noise lies above."""

    CLICKS = 32
    """Number of loudest frames (2 s, or one in 200) that may be clicks and are ignored."""

    def __init__(self) -> None:
        self.frames = np.zeros(self.BINS, np.int64)
        self.power = np.zeros(self.BINS)

    def add(self, power: NDArray[np.float64]) -> NDArray[np.int64]:
        """Adds mean squares of frames, shape (frames,); returns the bin of each."""
        level = 10 * np.log10(np.maximum(power, 1e-12))
        bins = np.clip((level - self.FLOOR) / self.STEP, 0, self.BINS - 1).astype(np.int64)
        self.frames += np.bincount(bins, minlength=self.BINS)
        self.power += np.bincount(bins, power, self.BINS)
        return bins

    @classmethod
    def bin(cls, level: float) -> int:
        """Histogram bin of a level (dB)."""
        return int(min(max((level - cls.FLOOR) / cls.STEP, 0), cls.BINS - 1))

    @property
    def _top(self) -> int:
        """Bin of the loudest frames that are not clicks."""
        audible = int(self.frames[self.bin(self.SILENT) :].sum())
        louder = self.frames[::-1].cumsum()[::-1]
        reached = np.flatnonzero(louder > min(max(self.CLICKS, audible // 200), audible // 4))
        return int(reached[-1]) if len(reached) else 0

    @property
    def loud(self) -> float:
        """Level of the loudest frames (dB)."""
        return self.FLOOR + self.STEP * (self._top + 0.5)

    @property
    def contrast(self) -> float:
        """How far the loud frames stand above the quiet fifth (dB); 0 where all is silence."""
        if self._top < self.bin(self.SILENT):
            return 0.0
        quiet = int((self.frames.cumsum() >= 0.2 * self.frames.sum()).argmax())
        return self.STEP * (self._top - quiet)

    @property
    def active(self) -> float | None:
        """Mean power of speech (dB): of the frames at most 15 dB below it. None: all is silence."""
        top = self._top
        frames, power = self.frames.copy(), self.power.copy()
        if top + 1 < self.BINS and frames[top]:  # a click is as loud as the loudest speech
            power[top] += frames[top + 1 :].sum() * power[top] / frames[top]
            frames[top] += frames[top + 1 :].sum()
            frames[top + 1 :], power[top + 1 :] = 0, 0.0
        gate = self.bin(self.SILENT)
        while frames[gate:].any():
            mean = 10 * np.log10(power[gate:].sum() / frames[gate:].sum())
            higher = self.bin(mean - 15)
            if higher <= gate:
                return float(mean)
            gate = higher
        return None


def gain_db(active: float | None, peak: float, lively: bool, config: LevelConfig) -> float | None:
    """The gain for a recording in whole dB; None: unchanged.

    `active` is the speech level (dB), `peak` the largest absolute sample. The gain is lowered where it would exceed full scale, as
    far as the tolerance allows; remaining peaks are limited. Without `lively` (contrast of speech) nothing is amplified.

    >>> config = LevelConfig()
    >>> gain_db(-60, 0.01, True, config), gain_db(-26, 0.5, True, config), gain_db(-60, 0.01, False, config)
    (34.0, None, None)
    >>> gain_db(-60, 0.9, True, config), gain_db(-10, 1.5, True, config), gain_db(None, 0.0, False, config)
    (22.0, -16.0, None)
    """
    if active is None or not peak:
        return None
    wanted = min(config.target_db - active, config.most_db)
    if abs(wanted) <= config.tolerance_db:
        wanted = 0.0
    if wanted > 0 and not lively:
        wanted = 0.0
    over = 20 * np.log10(peak) + wanted
    if over > 0:
        least = min(wanted, config.target_db - config.tolerance_db - active)
        wanted = max(wanted - over, least)
    found = float(np.floor(wanted) if wanted < 0 else np.rint(wanted))
    return found or None


def amplify(arrays: Iterable[Audio], gain_db: float) -> Iterator[Audio]:
    """Applies a gain with a soft limiter. Only basic arithmetic per sample: the same bits on every machine, from any start."""
    gain, room = np.float32(10 ** (gain_db / 20)), np.float32(1 - KNEE)
    for array in arrays:
        louder = array * gain
        over = np.abs(louder) - np.float32(KNEE)
        bent = np.copysign(np.float32(KNEE) + room * over / (room + np.abs(over)), louder)
        yield np.where(over > 0, bent, louder)
