"""Audio that this process has decoded, held for its next stage: detector, recognisers and labellers of a unit decode it once.

A read is answered from it only with the bits that decoding would give: where the held audio starts at the same sample; where it is
PCM or FLAC without damage, whose samples do not depend on where reading started; or where both begin so early in the file that any
decoder begins at its first packet.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from threading import Lock

from voxmill.manifests.records import SAMPLE_RATE
from voxmill.operators.contract.adapters import Audio

LIMIT = 20 * 60 * SAMPLE_RATE
"""Samples held at most (77 MB): two units of the default length."""


@dataclass(frozen=True, slots=True)
class Passage:
    """Decoded samples of a source, from sample `start` on."""

    source: Hashable
    start: int
    audio: Audio
    anywhere: bool
    """Whether reads from any sample give these bits."""
    early: int
    """Starts up to this sample give the bits of any other such start."""

    def holds(self, source: Hashable, start: int, num_samples: int) -> bool:
        """Whether a read of these samples gives the same bits."""
        inside = self.start <= start and start + num_samples <= self.start + len(self.audio)
        alike = self.anywhere or start == self.start or max(start, self.start) <= self.early
        return self.source == source and inside and alike


class HeldAudio:
    """The passages that were read last, up to `limit` samples of all."""

    def __init__(self, limit: int = LIMIT) -> None:
        self.limit = limit
        self._passages: list[Passage] = []
        """Oldest use first."""
        self._lock = Lock()

    def find(self, source: Hashable, start: int, num_samples: int) -> Audio | None:
        """A copy of these samples, shape (num_samples,); None where they must be decoded."""
        with self._lock:
            for place, passage in enumerate(self._passages):
                if passage.holds(source, start, num_samples):
                    self._passages.append(self._passages.pop(place))
                    begin = start - passage.start
                    return passage.audio[begin : begin + num_samples].copy()
        return None

    def hold(self, passage: Passage) -> None:
        """Keeps a passage, whose array belongs to this object from now on, in place of those used longest ago."""
        if len(passage.audio) > self.limit:
            return
        with self._lock:
            self._passages.append(passage)
            total = sum(len(one.audio) for one in self._passages)
            while total > self.limit:
                total -= len(self._passages.pop(0).audio)

    def clear(self) -> None:
        """Forgets everything."""
        with self._lock:
            self._passages.clear()


HELD = HeldAudio()
"""What this process holds."""
