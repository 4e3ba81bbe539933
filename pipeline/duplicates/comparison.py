"""How the parts of a run are compared in one way, unit after unit, and what comes of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from voxmill.manifests.duplicate_records import By, Duplicate, Fingerprint, Shingles
from voxmill.pipeline.duplicates.shared_keys import Partner, SharedKeys
from voxmill.pipeline.duplicates.sources import CLIPS, ComparedRun

DUPLICATE, CONTAMINATED = "select.duplicate", "select.contaminated"

PartRow = Fingerprint | Shingles

Keys = NDArray[np.int64]
Places = NDArray[np.int32]


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


class Comparison(ABC):
    """One way to compare parts: by bytes, by sound, by what is said. A subclass says which keys a row has, and judges partners."""

    kind: str
    """Whose rows are compared: those of `fingerprint`, of `shingle`, or `recordings`."""

    def __init__(self, keys: SharedKeys) -> None:
        self._keys = keys
        self._groups: Iterator[tuple[int, Iterator[Partner]]] = iter(())

    @abstractmethod
    def asked(self, row: Any) -> Iterable[tuple[Keys, Places, int]]:
        """The keys by which partners of a row are looked for, their places, and the speed of each list."""

    @abstractmethod
    def held(self, row: Any, run: ComparedRun) -> tuple[Keys, Places] | None:
        """The keys by which a row of a run is found; None: it is nobody's partner."""

    def clips(self) -> Iterable[tuple[Keys, Places]]:
        """The same of clips of evaluation sets."""
        return ()

    @abstractmethod
    def verdicts(self, position: int, row: Any, partners: list[Partner]) -> Iterable[tuple[PartKey, PartVerdict]]:
        """What partners come to, for the parts that a row of a unit stands for."""

    def look_for(self, runs: tuple[ComparedRun, ...], fresh: list[tuple[int, int]]) -> None:
        """Adds the keys of all runs, the last of which is the one that is judged: its units of the ranges `fresh`."""
        self._runs, own = runs, runs[-1]
        for first, end in fresh:
            for position, rows in own.scan(self.kind, first, end):
                for number, row in enumerate(rows):
                    for found in self.asked(row):
                        self._keys.ask(own.entry(position, number), *found)
        for number, clip in enumerate(self.clips()):
            self._keys.hold(number, *clip)
        for run in runs:
            for position, rows in run.scan(self.kind, 0, fresh[-1][1] if run is own else None):
                for number, row in enumerate(rows):
                    if has := self.held(row, run):
                        self._keys.hold(run.entry(position, number), *has)
        self._groups = groupby(self._keys.partners(), key=lambda one: one.entry - own.entry(0, 0) >> 16)
        self._next = next(self._groups, None)

    def judge(self, position: int) -> dict[PartKey, PartVerdict]:
        """The verdicts on a unit's parts, for those that have any. Called for growing positions, of fresh units only."""
        found: dict[PartKey, PartVerdict] = {}
        if self._next is not None and self._next[0] == position:
            own = self._runs[-1]
            for entry, partners in groupby(self._next[1], key=lambda one: one.entry):
                found.update(self.verdicts(position, own.row_of(entry, self.kind), list(partners)))
            self._next = next(self._groups, None)
        return found

    def close(self) -> None:
        """Nothing more is asked."""
        self._keys.close()


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
