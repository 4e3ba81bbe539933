"""How several channels become one: statistics of each while a file is decoded, and the weights that follow.

Speech comes and goes; noise, hum and a dead wire do not. So the *contrast* of a channel is how far its loudest frames stand above
its quiet ones, between 250 Hz and 4 kHz. Useless channels are left out, channels that cancel are not summed, and two channels
that speak in turns are two talkers: both are kept, equally loud.

Everything accumulates in histograms and sums: memory does not grow with the file, and the choice is a pure function of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxmill.operators.decode.audio_stream import DECODER
from voxmill.operators.decode.bandwidth import BANDS, FRAME, STRIDE, Histogram, Spectrum
from voxmill.operators.decode.dc_offset import CELL
from voxmill.operators.decode.loudness import Levels

SPEECH = slice(2, 32)
"""Bands (125 Hz each) used to tell speech from noise."""

LIVELY = 12.0
"""Least contrast of speech (dB); steady noise has 4, hum less."""

WORSE = 12.0
"""A channel with so much less contrast than the best (dB) only adds noise."""

ENOUGH = 40.0
"""Contrast is capped here (dB): noise gates and encoders make silence digital."""

DEAD = 45.0
"""A channel so far below the best one is left out (dB)."""

ACTIVE = 12.0
"""Frames within so many dB of the loudest of a channel count as speech."""

TOGETHER = 0.35
"""Two channels speak in turns where their speech overlaps less than this share of the quieter one's."""

LEAST_TURN = 0.05
"""Least speaking time of the quieter channel, as a share of the other's, to count as turns."""

CENTRE = 25.0
"""The centre channel, where films have their dialogue, is used unless it is further below the loudest channel (dB)."""

ANTIPHASE = -0.7
"""Two channels with a lower correlation are one signal in opposite phase."""

SAME = 0.7
"""Channels with a higher correlation hold the same speech."""

CANCELLED = 0.1
"""Power of the mean over that of unrelated channels: below this they cancel."""

OFFSET = 1 / 32
"""A DC offset above this share of the speech level is removed."""

LEAST_OFFSET = 5e-5
"""A smaller DC offset (of full scale), a step or two of 16 bits, stays."""


@dataclass(frozen=True, slots=True)
class ChannelMix:
    """How the channels of a recording become one."""

    weights: tuple[float, ...] | None
    """None: the mean."""
    like: int
    """Channel whose spectrum stands for the mix; the number of channels means that of their mean."""
    turns: bool | None
    apart: int | None = None
    """Number of channels kept apart, those with a weight; None: mixed."""


@dataclass(frozen=True, slots=True)
class MixLevels:
    """Level statistics of the mix."""

    dc: float | None
    active: float | None
    peak: float
    contrast: float


class ChannelStats:
    """Statistics of a recording with one channel layout. Blocks have shape (channels, samples), any size."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        n = self.count = len(self.names)
        self.num_samples = 0
        self.spectra = [Spectrum() for _ in range(n if n == 1 else n + 1)]
        """Of each channel, and of their mean."""
        self.levels = [Levels() for _ in range(n)]
        self.peak, self.steady_peak = np.zeros(n), np.zeros(n)
        """Largest absolute sample per channel, with and without the DC offset."""
        self.cross = np.zeros((n, n))
        """Cross-power of channels in the speech band, shape (channels, channels)."""
        self.joint = np.zeros((n, n, Levels.BINS, Levels.BINS), np.int64)
        """Joint level histogram of each pair of channels."""
        self.cancelled = self.loud = 0
        """For two channels: number of frames with similar levels (`loud`), and of those in which they cancel."""
        self.cells = np.zeros((n, n))
        self.offsets = np.zeros(n)
        self.num_cells = 0
        self._hashers = [hashlib.sha256(DECODER.encode() + b"\0") for _ in self.spectra]
        self._rest = np.zeros((n, 0), np.float32)
        self._cell = np.zeros((n, 0), np.float32)

    def add(self, block: NDArray[np.float32]) -> None:
        """Adds a block of shape (channels, samples) at 16 kHz."""
        self.num_samples += block.shape[1]
        for hasher, channel in zip(self._hashers, block if self.count == 1 else (*block, _mean(block)), strict=True):
            scaled = np.rint(channel * np.float32(32768))
            hasher.update(np.clip(scaled, -32768, 32767, out=scaled).astype("<i2"))
        if block.size:
            self.peak = np.maximum(self.peak, np.maximum(block.max(axis=1), -block.min(axis=1)))
        self._offsets(block)
        samples = np.concatenate([self._rest, block], axis=1)
        frames = samples.shape[1] // (FRAME * STRIDE)
        used = frames * FRAME * STRIDE
        self._rest = samples[:, used:].copy()
        if frames:
            self._frames(samples[:, :used].reshape(self.count, frames, FRAME * STRIDE)[:, :, :FRAME])

    def _offsets(self, block: NDArray[np.float32]) -> None:
        samples = np.concatenate([self._cell, block], axis=1)
        cells = samples.shape[1] // CELL
        self._cell = samples[:, cells * CELL :].copy()
        if cells:
            whole = samples[:, : cells * CELL].reshape(self.count, cells, CELL)
            means = whole.mean(axis=2).astype(np.float64)
            out = np.maximum(whole.max(axis=2) - means, means - whole.min(axis=2))
            self.steady_peak = np.maximum(self.steady_peak, out.max(axis=1))
            self.cells += means @ means.T
            self.offsets += means.sum(axis=1)
            self.num_cells += cells

    def _frames(self, frames: NDArray[np.float32]) -> None:
        """`frames` has shape (channels, frames, FRAME)."""
        spectra = Spectrum.of(frames)
        for found, spectrum in zip(self.spectra, spectra if self.count == 1 else (*spectra, _mean(spectra)), strict=True):
            found.count(spectrum)
        width = spectra.shape[2] // BANDS
        speech = spectra[:, :, SPEECH.start * width : SPEECH.stop * width] * np.sqrt(Spectrum.scale)
        power = _power(speech)
        bins = [levels.add(one) for levels, one in zip(self.levels, power, strict=True)]
        flat = speech.reshape(self.count, -1)
        self.cross += (flat @ flat.conj().T).real
        if self.count > 1:
            self._pairs(bins, power, speech)

    def _pairs(self, bins: Sequence[NDArray[np.int64]], power: NDArray[np.float64], speech: NDArray[np.complex64]) -> None:
        size = Levels.BINS
        for a in range(self.count):
            for b in range(a + 1, self.count):
                self.joint[a, b] += np.bincount(bins[a] * size + bins[b], minlength=size * size).reshape(size, size)
        if self.count == 2:
            mean = _power(_mean(speech))
            apart = power.sum(axis=0) / 4
            alike = (power.min(axis=0) > 0.1 * power.max(axis=0)) & (power.max(axis=0) > 1e-8)
            self.loud += int(alike.sum())
            self.cancelled += int((mean[alike] < CANCELLED * apart[alike]).sum())

    def digest(self, weights: tuple[float, ...] | None, apart: int | None = None) -> str:
        """SHA-256 of the 16-bit samples that the mix reads; offset and gain follow from them."""
        if weights is None or self.count == 1:
            return self._hashers[-1].hexdigest()
        if sorted(weights) == [0.0] * (self.count - 1) + [1.0]:
            return self._hashers[weights.index(1.0)].hexdigest()
        parts = [repr(weights), repr(apart), *(hasher.hexdigest() for hasher in self._hashers)]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def histogram(self, choice: ChannelMix) -> Histogram:
        """Band histogram (`bandwidth.Histogram`) of the channel that stands for the mix."""
        return self.spectra[min(choice.like, len(self.spectra) - 1)].histogram

    def heard(self, choice: ChannelMix) -> MixLevels:
        """Levels of the mix: offset, speech level, peak, contrast."""
        if choice.apart and choice.weights:
            alone = [self.heard(ChannelMix(self._one(c).weights, c, None)) for c, weight in enumerate(choice.weights) if weight]
            loud = [weight for weight in choice.weights if weight]
            return MixLevels(
                next((one.dc for one in alone if one.dc is not None), None),
                max((one.active for one in alone if one.active is not None), default=None),
                max(one.peak * weight for one, weight in zip(alone, loud, strict=True)),
                max(one.contrast for one in alone),
            )
        weights = np.array(choice.weights or [1 / self.count] * self.count)
        loudest = max(range(self.count), key=lambda c: weights[c] ** 2 * self.cross[c, c])
        like = self.levels[loudest]
        active, alone, mixed = like.active, self.cross[loudest, loudest], weights @ self.cross @ weights
        if active is not None:
            active = float(active + 10 * np.log10(max(mixed, 1e-12) / alone)) if alone else None
        wander = float(np.sqrt(max(0.0, weights @ self.cells @ weights) / max(1, self.num_cells)))
        speech = 10 ** (active / 20) if active is not None else 0.0
        offset = float(weights @ self.offsets) / max(1, self.num_cells)
        dc = round(float(np.copysign(wander, offset)), 5) if wander > max(OFFSET * speech, LEAST_OFFSET) else None
        peak = float(np.abs(weights) @ (self.peak if dc is None or not self.num_cells else self.steady_peak))
        return MixLevels(dc, active, peak, like.contrast)

    def choose(self, *, split: bool = False) -> ChannelMix:
        """The mix for these statistics. With `split`, channels that hold different speech are kept apart."""
        n = self.count
        mean = ChannelMix(None, n, None)
        if n == 1:
            return ChannelMix(None, 0, None)
        contrast = [min(one.contrast, ENOUGH) for one in self.levels]
        lively = [c for c in range(n) if contrast[c] >= LIVELY and self.names[c] != "LFE"]
        if not lively:
            return mean
        best = max(lively, key=lambda c: (contrast[c], self.levels[c].loud))
        kept = [c for c in lively if self.levels[c].loud >= self.levels[best].loud - DEAD]
        kept = [c for c in kept if contrast[c] >= contrast[best] - WORSE or self._in_turns(best, c)]
        if split and len(different := self._different(kept)) > 1:
            turns = self._in_turns(0, 1) if n == 2 else None
            return ChannelMix(self._even(different), different[0], turns, len(different))
        if n > 2 and (centre := self._centre(kept)) is not None:
            return self._one(centre)
        if len(kept) == 1:
            return self._one(kept[0])
        if n == 2:
            return self._two(best)
        incoherent = sum(self.cross[c, c] for c in kept)
        if self.cross[np.ix_(kept, kept)].sum() < incoherent / 2:
            return self._one(best)
        return mean if len(kept) == n else ChannelMix(tuple(1 / len(kept) if c in kept else 0.0 for c in range(n)), best, None)

    def _centre(self, kept: Sequence[int]) -> int | None:
        """The centre channel, if it is loud enough to hold the dialogue."""
        centre = self.names.index("FC") if "FC" in self.names else -1
        loudest = max(self.levels[c].loud for c in kept)
        return centre if centre in kept and self.levels[centre].loud >= loudest - CENTRE else None

    def _one(self, channel: int) -> ChannelMix:
        return ChannelMix(tuple(float(c == channel) for c in range(self.count)), channel, None)

    def _two(self, best: int) -> ChannelMix:
        """The mix of two channels that both hold speech."""
        alike = self.cross[0, 1] / np.sqrt(self.cross[0, 0] * self.cross[1, 1])
        if alike < ANTIPHASE:
            return ChannelMix((0.5, -0.5), best, None)
        if self.cancelled > 0.05 * self.loud:  # here they cancel, there they do not
            return self._one(best)
        if not self._in_turns(0, 1):
            return ChannelMix(None, 2, False)
        weights = self._even([0, 1])
        if weights == (1.0, 1.0):
            return ChannelMix(None, 2, True)
        return ChannelMix((round(weights[0] / sum(weights), 4), round(weights[1] / sum(weights), 4)), best, True)

    def _even(self, channels: Sequence[int]) -> tuple[float, ...]:
        """Weights that make all channels as loud as the loudest; 1 where they differ by at most 6 dB."""
        speech = {c: self.levels[c].active or self.levels[c].loud for c in channels}
        most = max(speech.values())
        if most - min(speech.values()) <= 6:
            return tuple(float(c in speech) for c in range(self.count))
        return tuple(round(10 ** ((most - speech[c]) / 20), 4) if c in speech else 0.0 for c in range(self.count))

    def _different(self, kept: Sequence[int]) -> list[int]:
        """Channels that are not copies of an earlier one."""
        found: list[int] = []
        for c in kept:
            same = (abs(self.cross[c, d]) / np.sqrt(self.cross[c, c] * self.cross[d, d]) > SAME for d in found)
            if not any(same):
                found.append(c)
        return found

    def _in_turns(self, a: int, b: int) -> bool:
        """Whether two channels are hardly ever active at the same time."""
        first, second = min(a, b), max(a, b)
        floors = [self.levels[c].bin(self.levels[c].loud - ACTIVE) for c in (first, second)]
        table = self.joint[first, second]
        one, other = table[floors[0] :].sum(), table[:, floors[1] :].sum()
        both = table[floors[0] :, floors[1] :].sum()
        return bool(min(one, other) >= LEAST_TURN * max(one, other) and both < TOGETHER * min(one, other))


def _mean(channels: NDArray[Any]) -> NDArray[Any]:
    total: NDArray[Any] = channels[0] + channels[1]
    for channel in channels[2:]:
        total += channel
    total /= np.float32(len(channels))
    return total


def _power(spectra: NDArray[np.complex64]) -> NDArray[np.float64]:
    """Power of each frame, summed over its lines."""
    lines = np.ascontiguousarray(spectra).view(np.float32)
    found: NDArray[np.float64] = np.einsum("...l,...l->...", lines, lines).astype(np.float64)
    return found
