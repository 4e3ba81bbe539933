"""What a comparison says of a part, and how its rows are made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import NamedTuple, Protocol

from voxmill.manifests.duplicate_records import By, Duplicate, Fingerprint, Shingles
from voxmill.pipeline.duplicates.shared_keys import Partner
from voxmill.pipeline.duplicates.sources import CLIPS, ComparedRun

DUPLICATE, CONTAMINATED = "select.duplicate", "select.contaminated"

PartRow = Fingerprint | Shingles


class PartKey(NamedTuple):
    """A part, by the recording and its first sample."""

    recording_id: str
    start: int


@dataclass(slots=True)
class PartVerdict:
    """What is found of one part."""

    contaminated: list[Duplicate] = field(default_factory=list)
    """Stretches of evaluation sets."""
    copies: list[Duplicate] = field(default_factory=list)
    """Stretches of other recordings, of the best partner."""


class Comparison(Protocol):
    """One way to compare parts: by bytes, by sound, by what is said."""

    def look_for(self, runs: tuple[ComparedRun, ...], fresh: list[tuple[int, int]]) -> None:
        """Adds the keys of all runs, the last of which is the one that is judged: its units of the ranges `fresh`."""

    def judge(self, position: int) -> Mapping[PartKey, PartVerdict]:
        """The verdicts on a unit's parts, for those that have any. Called for growing positions."""

    def close(self) -> None:
        """Nothing more is asked."""


class ByUnit:
    """Candidates of one unit after the other, while they are read in order."""

    def __init__(self, own: ComparedRun, partners: Iterator[Partner]) -> None:
        self._own = own
        self._groups = groupby(partners, key=lambda one: one.entry - own.entry(0, 0) >> 16)
        self._next = next(self._groups, None)

    def at(self, position: int) -> dict[int, list[Partner]]:
        """The partners of a unit by the row that asked. Units before it are passed over."""
        while self._next is not None and self._next[0] < position:
            self._next = next(self._groups, None)
        if self._next is None or self._next[0] != position:
            return {}
        found = {entry: list(of) for entry, of in groupby(self._next[1], key=lambda one: one.entry)}
        self._next = next(self._groups, None)
        return {entry - self._own.entry(position, 0): of for entry, of in found.items()}


def split(partners: list[Partner]) -> tuple[list[Partner], list[Partner]]:
    """Those that are clips of evaluation sets, and those that are parts of runs."""
    return [one for one in partners if one.holder < CLIPS], [one for one in partners if one.holder >= CLIPS]


def holder_of(runs: tuple[ComparedRun, ...], entry: int) -> ComparedRun:
    """The run that an entry belongs to."""
    return next(run for run in runs if run.holds(entry))


def verdict_row(
    part: PartRow, reason: str, by: By, partner: str, of: str, score: float, start: int | None = None, end: int | None = None,
    *, speed: float | None = None,
) -> Duplicate:  # fmt: skip
    """The row of a stretch of a part; without `start` and `end`, of the whole part."""
    first = part.start if start is None else start
    last = part.start + part.num_samples if end is None else end
    return Duplicate(part.recording_id, first, last - first, reason, by, partner, of, round(score, 4), speed)
