"""The measured bandwidth of a recording: up to which frequency its speech reaches, whatever the header claims.

Telephone speech (0.3–3.4 kHz) that was stored at a high rate is common on the web. Over the loud frames of a recording, speech
of full bandwidth shows fricatives above 4 kHz that come and go; telephone speech shows nothing there, or the faint residue of
a codec or a resampler, or a steady hiss.

What is accumulated is a histogram, so that memory does not grow, blocks may be of any size, and the result is a pure function.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from voxmill.manifests.config_base import Settings
from voxmill.manifests.records import SAMPLE_RATE, Bandwidth
from voxmill.operators.contract.adapters import Audio

FRAME = 512
"""Samples in a frame: 32 ms."""

STRIDE = 2
"""Only every second frame is counted: enough for statistics at half the cost."""

BANDS = 64
"""Bands of equal width, 125 Hz, over 0–8 kHz: four bins of the transform each."""

BAND_HZ = SAMPLE_RATE / 2 / BANDS

STEP, FLOOR = 2.0, -120.0
"""dB per histogram bin, and the level of the first bin (dB relative to full scale)."""

BINS = 64

Histogram = NDArray[np.int64]
"""Frames counted by (level of the frame, band, level of the band), shape (BINS, BANDS, BINS)."""

SILENT = -80.0
"""Frames below this level (dBFS) are digital silence or its dither."""

REFERENCE_FRAMES = 32
"""So many of the loudest frames looked at (2 s) may be clicks; the next level counts as the recording's loudness."""


class BandwidthConfig(Settings):
    """How the bandwidth of speech is classified: `narrow` as on the telephone, or `wide`."""

    loud_db: float = 18.0
    """Frames within so many dB of the recording's loudness count as loud."""
    reach_db: float = -44.0
    """A band belongs to the speech if its 95th percentile over loud frames is at most so far below the strongest band (dB).
    Speech of full bandwidth stays above -40 up to 7 kHz; what MP3, AAC and Opus leave above telephone speech stays below -46."""
    lively_db: float = 12.0
    """Least difference of 95th and 20th percentile of a band with speech (dB); steady noise has 8."""
    noisy_db: float = -35.0
    """A steady floor above this (median, dB below the strongest band) counts as part of the channel, not as added hiss."""
    narrow_below_hz: int = 5000
    """Cut-offs below this are class `narrow` (Hz). Telephone speech measures 3500-4400 with the skirt of its resampler, up to 4900
    after 8 kb/s Opus; audio sampled at 11.025 kHz, the next step up, measures from 5600."""


_WINDOW = np.hanning(FRAME).astype(np.float32)


class Spectrum:
    """Accumulates the histogram over the spectra of frames."""

    scale = np.float32(2 / (_WINDOW**2).sum() / FRAME)
    """Factor from squared spectrum to mean squares of samples."""

    def __init__(self) -> None:
        self.histogram: Histogram = np.zeros((BINS, BANDS, BINS), np.int64)
        self._rest = np.zeros(0, np.float32)

    def add(self, block: Audio) -> None:
        """Adds a block of any size; every `STRIDE`-th frame of the stream is counted."""
        samples = np.concatenate([self._rest, block]) if len(self._rest) else block
        count = len(samples) // (FRAME * STRIDE)
        used = count * FRAME * STRIDE
        self._rest = samples[used:].copy()
        if count:
            self.count(self.of(samples[:used].reshape(count, FRAME * STRIDE)[:, :FRAME]))

    @staticmethod
    def of(frames: NDArray[np.float32]) -> NDArray[np.complex64]:
        """Windowed spectra of frames, offset removed: shape (…, FRAME) becomes (…, FRAME / 2), lines from 31 Hz on."""
        flat = frames - frames.mean(axis=-1, keepdims=True)
        return np.fft.rfft(flat * _WINDOW)[..., 1:].astype(np.complex64, copy=False)

    def count(self, spectrum: NDArray[np.complex64]) -> None:
        """Adds spectra of shape (frames, lines) to the histogram."""
        lines = spectrum.view(np.float32).reshape(len(spectrum), BANDS, -1)
        power = np.einsum("fbl,fbl->fb", lines, lines) * self.scale
        bands = _bin(power)
        levels = _bin(power.sum(axis=1, keepdims=True))
        flat = (levels * BANDS + np.arange(BANDS)) * BINS + bands
        np.add.at(self.histogram.reshape(-1), flat.ravel(), 1)


def cutoff_hz(histogram: Histogram, config: BandwidthConfig) -> int | None:
    """The frequency up to which speech reaches, in steps of 125 Hz; None where nearly all is silence."""
    per_level = histogram[:, 0, :].sum(axis=1)
    first = round((SILENT - FLOOR) / STEP)
    louder = per_level[::-1].cumsum()[::-1]  # how many frames are at least as loud, by level
    candidates = np.flatnonzero(louder > min(REFERENCE_FRAMES, louder[first] // 4))
    if not louder[first] or candidates[-1] < first:
        return None
    loudness = int(candidates[-1])
    loud = histogram[max(first, loudness - round(config.loud_db / STEP)) :].sum(axis=0)
    low, middle, high = (_quantile(loud, q) for q in (0.20, 0.50, 0.95))
    strongest = middle.max()
    reached = (high - strongest >= config.reach_db) & (
        (high - low >= config.lively_db) | (middle - strongest >= config.noisy_db)
    )
    for band in range(BANDS - 1, 2, -1):
        if reached[band] and reached[band - 3 : band + 1].sum() >= 3:  # a lone line (a pilot tone, a whistle) is no speech
            return round((band + 1) * BAND_HZ)
    return round(3 * BAND_HZ)


def bandwidth(cutoff: int | None, config: BandwidthConfig) -> Bandwidth | None:
    """The class of a cut-off frequency (Hz); None where it is unknown.

    >>> bandwidth(3500, BandwidthConfig()), bandwidth(7000, BandwidthConfig()), bandwidth(None, BandwidthConfig())
    ('narrow', 'wide', None)
    """
    if cutoff is None:
        return None
    return "narrow" if cutoff < config.narrow_below_hz else "wide"


def _bin(power: NDArray[np.float32]) -> NDArray[np.int64]:
    level = 10 * np.log10(np.maximum(power, 1e-12))
    return np.clip((level - FLOOR) / STEP, 0, BINS - 1).astype(np.int64)


def _quantile(counts: NDArray[np.int64], q: float) -> NDArray[np.float64]:
    """Per band, the level (dB) below which a share `q` of the frames lies; `counts` has shape (BANDS, BINS)."""
    cumulative = counts.cumsum(axis=1)
    index = (cumulative >= q * cumulative[:, -1:]).argmax(axis=1)
    levels: NDArray[np.float64] = FLOOR + STEP * (index + 0.5)
    return levels
