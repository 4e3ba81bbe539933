"""Counts of what this process has read so far, from which progress inside a unit is shown.

Counted where all audio is decoded and where every fetched byte passes, so that operators need not report progress.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Meter:
    """Totals of this process since its start."""

    samples: int = 0
    """Decoded samples at 16 kHz."""
    bytes: int = 0
    """Bytes fetched from a network."""


METER = Meter()
