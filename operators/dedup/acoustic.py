"""How two audio fingerprints are compared: which keys they share, and how much of the shorter one matches at a shift.

A fingerprint (Chromaprint) is a sequence of 32-bit values, about eight per second, each made from 2.6 s of audio. Copies share
some values exactly, whatever codec, gain or sampling rate. A key is such a value and the twelve bits of the next one that stay when a
copy begins between two steps: a partner and a shift are found by keys that both hold. At that shift, values that differ in at most two
bits count as well, as in AcoustID. Runs of one value (silence) never count.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.uint32]

HOP = 1365 / 11025
"""Seconds from one value to the next (Chromaprint hears 11,025 Hz in steps of 1365 samples)."""

REACH = 2.6
"""Seconds that one value is made from."""

BITS = 2
"""Most bits in which two values may differ and still match."""

STEADY = np.uint32(0x7C2C808C)
"""The bits of a value that are most often kept by a copy whose value before is the same: 98 % and more of each."""


@dataclass(frozen=True, slots=True)
class Match:
    """How a query and a partner match at a shift."""

    shift: int
    """Values by which the query starts later than the partner; negative: earlier."""
    score: float
    """Share of the matching values among the non-silent ones of the shorter fingerprint."""
    first: int
    """First matching value of the query."""
    last: int


def keys(values: Values) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """The keys of a fingerprint and the place of each, both of shape (keys,)."""
    places = np.flatnonzero(non_silent(values)[:-1])
    found = (values[places].astype(np.int64) << 32) | (values[places + 1] & STEADY).astype(np.int64)
    return found, places.astype(np.int32)


def non_silent(values: Values) -> NDArray[np.bool_]:
    """Mask of values that differ from the one before: audio, not silence."""
    if not len(values):
        return np.zeros(0, np.bool_)
    return np.concatenate([[True], values[1:] != values[:-1]])


def match_at(query: Values, other: Values, shift: int) -> Match:
    """How well two fingerprints match at a shift: `query[i]` against `other[i + shift]`."""
    first, last = max(0, -shift), min(len(query), len(other) - shift)
    if last <= first:
        return Match(shift, 0.0, 0, 0)
    alive = non_silent(query)[first:last] & non_silent(other)[first + shift : last + shift]
    differ = query[first:last] ^ other[first + shift : last + shift]
    same = np.flatnonzero((np.bitwise_count(differ) <= BITS) & alive)
    shorter = min(int(non_silent(query).sum()), int(non_silent(other).sum()))
    if not len(same) or not shorter:
        return Match(shift, 0.0, first, first)
    return Match(shift, min(1.0, len(same) / shorter), first + int(same[0]), first + int(same[-1]))
