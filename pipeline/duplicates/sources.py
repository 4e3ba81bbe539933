"""What the parts of a run are compared with, in this order: clips of evaluation sets, other runs, and the run itself."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from voxmill.operators.contract.unit_input import UnitInput
from voxmill.operators.dedup.shingles import ShingleConfig, TakeShingles
from voxmill.pipeline.build import as_written
from voxmill.pipeline.stage import Stage
from voxmill.pipeline.state.listing import UNITS
from voxmill.pipeline.state.run import Run

CLIPS = 1 << 48
"""Entries below this are clips of evaluation sets: their places in the list of all clips."""

_REMEMBERED = 64
"""Units whose rows stay in memory: partners are often neighbours."""


class ComparedRun:
    """The rows of a run by which its parts are compared, and the entries (see `SharedKeys`) of these parts."""

    def __init__(self, number: int, run: Run, stages: dict[str, Stage], of: str, size: int) -> None:
        """`number` orders the runs; `of` names it in verdicts, empty for the run itself; `size` is that of shingles."""
        self.of, self.end = of, run.listing.num_units
        self._first, self._ledger, self._stages = (number + 1) * CLIPS, run.ledger, stages
        self._take = TakeShingles(ShingleConfig(shingle=size))
        self.rows = lru_cache(_REMEMBERED)(self._rows)

    def entry(self, position: int, row: int) -> int:
        """The entry of a row of a unit."""
        return self._first + (position << 16) + row

    def row_of(self, entry: int, kind: str) -> Any:
        """The row of a kind (`fingerprint`, `shingle`, `recordings`) that an entry stands for."""
        place = entry - self._first
        return self.rows(kind, place >> 16)[place & 0xFFFF]

    def holds(self, entry: int) -> bool:
        """Whether an entry is one of this run's."""
        return self._first <= entry < self._first + CLIPS

    def scan(self, kind: str, first: int = 0, end: int | None = None) -> Iterator[tuple[int, list[Any]]]:
        """(position, rows of that kind) of the units of a range that are done, in order."""
        if kind in self._stages:
            yield from self._ledger.scan(self._stages[kind], first, end)
        elif kind == "shingle":
            for position, _ in self._ledger.scan(self._stages["reconcile"], first, end):
                yield position, self.rows(kind, position)

    def _rows(self, kind: str, position: int) -> list[Any]:
        if kind in self._stages:
            return self._ledger.read(self._stages[kind], position)
        (unit,) = self._ledger.read(UNITS, position)
        segments = tuple(s for s in self._ledger.read(self._stages["segment"], position) if s.rejection is None)
        consensus = tuple(self._ledger.read(self._stages["reconcile"], position))
        return self._take(UnitInput(unit.id, parts=unit.parts, segments=segments, consensus=consensus))


def other_run(number: int, root: str, size: int) -> ComparedRun:
    """Another run, by what it was last brought up to. Its shingles are made anew where it has none of this size."""
    run = Run(root)
    config, stages = as_written(run)
    if config.duplicates is None or config.duplicates.shingle != size:
        stages.pop("shingle", None)
    return ComparedRun(number, run, stages, root, size)
