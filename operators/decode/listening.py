"""How a recording is heard: which of its sound streams, how its channels become one, what is taken off and put on.

Measured once, by the stage `decode`, and written down with the recording; whoever reads its sound later hears the same samples.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from voxmill.manifests.records import Recording
from voxmill.operators.engines import Audio

KNEE = 0.9
"""Sound that is made louder is left as it is up to here, and bent from here on, so that it never reaches full scale."""


@dataclass(frozen=True, slots=True)
class Listening:
    """All but the address may be None: then it is as it was before anything was chosen (the best stream, the mean, as loud as it is)."""

    uri: str
    track: int | None = None
    channels: tuple[float, ...] | None = None
    dc: float | None = None
    gain_db: float | None = None

    @classmethod
    def to(cls, recording: Recording) -> Listening:
        """Raises ValueError where nothing was fetched."""
        if recording.audio is None:
            raise ValueError(f"recording {recording.id} has no audio")
        return cls(recording.audio, recording.track, recording.channels, recording.dc, recording.gain_db)


def amplified(arrays: Iterable[Audio], gain_db: float) -> Iterator[Audio]:
    """As loud as wanted. Only sums, products and quotients, sample by sample: the same bits on every machine, wherever one begins."""
    gain, room = np.float32(10 ** (gain_db / 20)), np.float32(1 - KNEE)
    for array in arrays:
        louder = array * gain
        over = np.abs(louder) - np.float32(KNEE)
        bent = np.copysign(np.float32(KNEE) + room * over / (room + np.abs(over)), louder)
        yield np.where(over > 0, bent, louder)
