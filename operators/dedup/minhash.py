"""Text of a part as shingles: hashed runs of neighbouring words (or Han characters). MinHash finds parts that share them.

The LSH of datasketch proposes partners; the score is exact, on the sets: the share of the shorter one found in the other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class PartShingles:
    """The shingles of a part, and the index of the segment in which each starts."""

    shingles: tuple[int, ...]
    segments: tuple[int, ...]

    @property
    def unique(self) -> frozenset[int]:
        """The set of shingles."""
        return frozenset(self.shingles)


def part_shingles(texts: Sequence[Sequence[str]], size: int) -> PartShingles:
    """The shingles of `size` units of consecutive segments; they cross segment ends, since copies are cut differently.

    >>> part_shingles([["a", "b"], ["c"]], 2).segments
    (0, 0)
    """
    flat = [(unit, number) for number, units in enumerate(texts) for unit in units]
    runs = range(len(flat) - size + 1)
    hashed = (" ".join(unit for unit, _ in flat[at : at + size]) for at in runs)
    return PartShingles(tuple(map(_hash, hashed)), tuple(flat[at][1] for at in runs))


def containment(left: frozenset[int], right: frozenset[int]) -> float:
    """Share of the shorter set that is in the other."""
    return len(left & right) / min(len(left), len(right)) if left and right else 0.0


class TextIndex:
    """Parts by their shingles. `permutations` of MinHash and the LSH threshold `propose` decide which are compared."""

    def __init__(self, permutations: int = 128, propose: float = 0.2) -> None:
        from datasketch import MinHash, MinHashLSH  # type: ignore[import-untyped]

        self._minhash, self._permutations = MinHash, permutations
        self._lsh = MinHashLSH(threshold=propose, num_perm=permutations)
        self._sets: dict[Hashable, frozenset[int]] = {}
        self._order: dict[Hashable, int] = {}

    def add(self, key: Hashable, shingles: frozenset[int]) -> None:
        """Adds the shingles of a part under a key."""
        self._order[key] = len(self._order)
        self._sets[key] = shingles
        self._lsh.insert(key, self._signature(shingles))

    def find(self, shingles: frozenset[int], least: float) -> list[tuple[Hashable, float]]:
        """Partners with at least this share, the largest first; of equals the one that was added first."""
        found = ((key, containment(shingles, self._sets[key])) for key in self._lsh.query(self._signature(shingles)))
        return sorted(((k, s) for k, s in found if s >= least), key=lambda pair: (-pair[1], self._order[pair[0]]))

    def shingles(self, key: Hashable) -> frozenset[int]:
        """The shingles of a key."""
        return self._sets[key]

    def _signature(self, shingles: frozenset[int]) -> object:
        signature = self._minhash(num_perm=self._permutations, seed=1, hashfunc=_as_it_is)
        signature.update_batch(np.fromiter(sorted(shingles), np.uint64) & np.uint64(0xFFFFFFFF))
        return signature


def _as_it_is(value: int) -> int:
    """Shingles are hashes already."""
    return int(value)


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")
