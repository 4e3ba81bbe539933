"""Counts of what this process has read so far, from which progress inside a unit is shown.

Counted where all audio is decoded and where every fetched byte passes, so that operators need not report progress.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Lock


@dataclass(slots=True)
class Meter:
    """Totals of this process since its start."""

    samples: int = 0
    """Decoded samples at 16 kHz."""
    bytes: int = 0
    """Bytes fetched from a network."""
    _waits: dict[str, float] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def fetched(self, num_bytes: int) -> None:
        """Bytes came from a network; threads may say so at once."""
        with self._lock:
            self.bytes += num_bytes

    def waited(self, host: str, seconds: float) -> None:
        """A fetch waited so long for its turn at a host; threads may say so at once."""
        with self._lock:
            self._waits[host] = self._waits.get(host, 0.0) + seconds

    def take_waits(self) -> dict[str, float]:
        """Seconds waited by host since the last call."""
        with self._lock:
            taken, self._waits = self._waits, {}
            return taken


METER = Meter()
