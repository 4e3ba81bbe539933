"""How much this process has read so far: what progress inside a unit is measured by.

Counted where all audio is decoded and where every fetched byte passes, so that no operator has to say how far it is.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Meter:
    """Totals of this process; only ever read as differences."""

    samples: int = 0
    """Decoded at 16 kHz."""
    bytes: int = 0
    """Fetched from a network."""


METER = Meter()
