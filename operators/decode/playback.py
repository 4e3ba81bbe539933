"""`Playback`: which audio stream of a recording is read, how its channels become one, which offset and gain are applied.

Measured once by the stage `decode` and written into the recording, so that every later reader gets the same samples.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from voxmill.manifests.records import Recording
from voxmill.operators.contract.adapters import Audio

KNEE = 0.9
"""Amplified samples above this level are compressed so that they never reach full scale."""


@dataclass(frozen=True, slots=True)
class Playback:
    """How a recording is read. Fields that are None mean: best stream, mean of channels, no offset, no gain."""

    uri: str
    track: int | None = None
    channels: tuple[float, ...] | None = None
    dc: float | None = None
    gain_db: float | None = None
    each: int | None = None
    """Samples per channel, where channels are kept apart one after the other."""

    @classmethod
    def of(cls, recording: Recording) -> Playback:
        """The playback of a recording. Raises ValueError where it has no audio."""
        if recording.audio is None:
            raise ValueError(f"recording {recording.id} has no audio")
        each = recording.num_samples // recording.apart if recording.apart else None
        return cls(recording.audio, recording.track, recording.channels, recording.dc, recording.gain_db, each)

    def pieces(self, start: int, num_samples: int | None) -> Iterator[tuple[Playback, int, int | None]]:
        """The reads that make up `[start, start + num_samples)`: playback, start, number of samples; None = to the end.

        >>> both = Playback("a.wav", channels=(1.0, 0.0, 0.5), each=10)
        >>> [(how.channels, start, length) for how, start, length in both.pieces(8, 5)]
        [((1.0, 0.0, 0.0), 8, 2), ((0.0, 0.0, 0.5), 0, 3)]
        """
        if self.each is None or self.channels is None:
            yield self, start, num_samples
            return
        heard = [channel for channel, weight in enumerate(self.channels) if weight]
        end = len(heard) * self.each if num_samples is None else start + num_samples
        for place, channel in enumerate(heard):
            begin = place * self.each
            first, last = max(start, begin), min(end, begin + self.each)
            if first < last:
                alone = tuple(weight if c == channel else 0.0 for c, weight in enumerate(self.channels))
                yield replace(self, channels=alone, each=None), first - begin, last - first


def amplified(arrays: Iterable[Audio], gain_db: float) -> Iterator[Audio]:
    """Applies a gain with a soft limiter. Only basic arithmetic per sample: the same bits on every machine, from any start."""
    gain, room = np.float32(10 ** (gain_db / 20)), np.float32(1 - KNEE)
    for array in arrays:
        louder = array * gain
        over = np.abs(louder) - np.float32(KNEE)
        bent = np.copysign(np.float32(KNEE) + room * over / (room + np.abs(over)), louder)
        yield np.where(over > 0, bent, louder)
