"""The stage `shingle`: what is said in every part of a recording, as hashed runs of neighbouring words (or Han characters).

Two parts that share enough of them say the same. Hashes are kept and words are not, so parts are compared without reading texts again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import Field

from voxmill.manifests.config_base import Settings
from voxmill.manifests.duplicate_records import Shingles
from voxmill.operators.contract.unit_input import UnitInput
from voxmill.operators.reconcile.tokenize import units as units_of


class ShingleConfig(Settings):
    """How texts are cut."""

    shingle: int = Field(default=4, ge=1)
    """Neighbouring words or Han characters in a shingle."""


@dataclass(frozen=True, slots=True)
class PartShingles:
    """The shingles of a part in order, and the index of the segment in which each starts."""

    shingles: tuple[int, ...]
    segments: tuple[int, ...]


class TakeShingles:
    """One `Shingles` per part, of the segments that have an agreed text."""

    def __init__(self, config: ShingleConfig) -> None:
        self.config = config

    def __call__(self, work: UnitInput) -> list[Shingles]:
        texts = {c.segment_id: c.normalised for c in work.consensus if c.rejection is None}
        found = []
        for part in work.parts:
            mine = [s for s in work.segments if s.recording_id == part.recording_id and s.id in texts]
            words = [units_of(next(iter(texts[s.id]), "")) for s in mine]
            cut = part_shingles(words, self.config.shingle)
            starts, ends = tuple(s.start for s in mine), tuple(s.end for s in mine)
            found.append(Shingles(part.recording_id, part.start, part.num_samples, cut.shingles, cut.segments, starts, ends))
        return found


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


def _hash(text: str) -> int:
    """64 bits, signed as Parquet and DuckDB have them."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big", signed=True)
