"""An index of audio fingerprints: which one matches, at which shift, and how much of the shorter one.

A fingerprint (Chromaprint) is a sequence of 32-bit values, about eight per second, each made from 2.6 s of audio. Copies share
some values exactly, whatever codec, gain or sampling rate; those find the partner and the shift. At that shift, values that differ
in at most two bits count as well, as in AcoustID. Runs of one value (silence) never count.
"""

from __future__ import annotations

from collections.abc import Hashable
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

EXACT = 3
"""Fewest equal values at one shift that make a candidate match."""

COMMON = 64
"""Values found more often than this are ignored."""


@dataclass(frozen=True, slots=True)
class Match:
    """A partner of a query at its best shift."""

    key: Hashable
    shift: int
    """Values by which the query starts later than the partner; negative: earlier."""
    score: float
    """Share of the matching values among the non-silent ones of the shorter fingerprint."""
    first: int
    """First matching value of the query."""
    last: int


class AcousticIndex:
    """Fingerprints to search in. Blocks of sorted values, merged as they grow: 12 bytes per value, 350 MB per 1000 hours."""

    def __init__(self) -> None:
        self._all: list[Values] = []
        self._keys: list[Hashable] = []
        self._blocks: list[tuple[Values, NDArray[np.int32], NDArray[np.int32]]] = []

    def add(self, key: Hashable, values: Values) -> None:
        """Adds a fingerprint under a key."""
        owner = len(self._all)
        self._all.append(values)
        self._keys.append(key)
        places = np.flatnonzero(non_silent(values)).astype(np.int32)
        self._blocks.append(_sorted(values[places], np.full(len(places), owner, np.int32), places))
        while len(self._blocks) > 1 and len(self._blocks[-2][0]) <= 2 * len(self._blocks[-1][0]):
            right, left = self._blocks.pop(), self._blocks.pop()
            self._blocks.append(_sorted(*(np.concatenate(pair) for pair in zip(left, right, strict=True))))

    def find(self, query: Values, least: float) -> list[Match]:
        """Every partner with at least this score, the best first; of equals the one that was added first."""
        alive = np.flatnonzero(non_silent(query))
        votes: dict[tuple[int, int], int] = {}
        for values, owners, places in self._blocks:
            low = np.searchsorted(values, query[alive], "left")
            high = np.searchsorted(values, query[alive], "right")
            for at, begin, end in zip(alive.tolist(), low.tolist(), high.tolist(), strict=True):
                if 0 < end - begin <= COMMON:
                    for owner, place in zip(owners[begin:end].tolist(), places[begin:end].tolist(), strict=True):
                        votes[owner, place - at] = votes.get((owner, place - at), 0) + 1
        best: dict[int, Match] = {}
        for (owner, shift), count in sorted(votes.items()):
            if count >= EXACT:
                match = match_at(self._keys[owner], query, self._all[owner], shift)
                if match.score >= least and (owner not in best or match.score > best[owner].score):
                    best[owner] = match
        return [best[owner] for owner in sorted(best, key=lambda o: (-best[o].score, o))]


def non_silent(values: Values) -> NDArray[np.bool_]:
    """Mask of values that differ from the one before: audio, not silence."""
    if not len(values):
        return np.zeros(0, np.bool_)
    return np.concatenate([[True], values[1:] != values[:-1]])


def match_at(key: Hashable, query: Values, other: Values, shift: int) -> Match:
    """How well two fingerprints match at a shift: `query[i]` against `other[i + shift]`."""
    first, last = max(0, -shift), min(len(query), len(other) - shift)
    if last <= first:
        return Match(key, shift, 0.0, 0, 0)
    alive = non_silent(query)[first:last] & non_silent(other)[first + shift : last + shift]
    differ = query[first:last] ^ other[first + shift : last + shift]
    same = np.flatnonzero((np.bitwise_count(differ) <= BITS) & alive)
    shorter = min(int(non_silent(query).sum()), int(non_silent(other).sum()))
    if not len(same) or not shorter:
        return Match(key, shift, 0.0, first, first)
    return Match(key, shift, min(1.0, len(same) / shorter), first + int(same[0]), first + int(same[-1]))


def _sorted(
    values: Values, owners: NDArray[np.int32], places: NDArray[np.int32]
) -> tuple[Values, NDArray[np.int32], NDArray[np.int32]]:
    order = np.argsort(values, kind="stable")
    return values[order], owners[order], places[order]
