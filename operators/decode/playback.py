"""How a recording is heard: which of its sound streams, how its channels become one, what is taken off and put on.

Measured once, by the stage `decode`, and written down with the recording; whoever reads its sound later hears the same samples.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from voxmill.manifests.records import Recording
from voxmill.operators.contract.adapters import Audio

KNEE = 0.9
"""Sound that is made louder is left as it is up to here, and bent from here on, so that it never reaches full scale."""


@dataclass(frozen=True, slots=True)
class Playback:
    """All but the address may be None: then it is as it was before anything was chosen (the best stream, the mean, as loud as it is)."""

    uri: str
    track: int | None = None
    channels: tuple[float, ...] | None = None
    dc: float | None = None
    gain_db: float | None = None
    each: int | None = None
    """Samples of each channel, where they are kept apart and follow one another."""

    @classmethod
    def of(cls, recording: Recording) -> Playback:
        """Raises ValueError where nothing was fetched."""
        if recording.audio is None:
            raise ValueError(f"recording {recording.id} has no audio")
        each = recording.num_samples // recording.apart if recording.apart else None
        return cls(recording.audio, recording.track, recording.channels, recording.dc, recording.gain_db, each)

    def pieces(self, start: int, num_samples: int | None) -> Iterator[tuple[Playback, int, int | None]]:
        """What has to be read for `[start, start + num_samples)`: how, from where, and how much; None = to the end.

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
    """As loud as wanted. Only sums, products and quotients, sample by sample: the same bits on every machine, wherever one begins."""
    gain, room = np.float32(10 ** (gain_db / 20)), np.float32(1 - KNEE)
    for array in arrays:
        louder = array * gain
        over = np.abs(louder) - np.float32(KNEE)
        bent = np.copysign(np.float32(KNEE) + room * over / (room + np.abs(over)), louder)
        yield np.where(over > 0, bent, louder)
