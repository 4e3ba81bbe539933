"""One live display for a whole run: per stage what came in, what was kept, how fast, and how long it will take."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table

from voxmill.pipeline.display import Display, clock
from voxmill.pipeline.execution.executor import Job
from voxmill.pipeline.stage import Done


@dataclass
class _Row:
    total: int
    done: int = 0
    units: set[str] = field(default_factory=set)
    kept: int = 0
    rejected: int = 0
    seconds: float = 0.0
    busy_s: float = 0.0
    first: float = field(default_factory=time.monotonic)
    last: float = 0.0


class Progress(Display):
    """`with Progress() as p: p.expect(jobs); …; p.report(done)`."""

    def __init__(self, console: Console | None = None, *, quiet: bool = False) -> None:
        super().__init__(self._table, console, quiet=quiet)
        self._rows: dict[str, _Row] = {}

    def expect(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            if job.keys:
                self._rows[job.name] = _Row(len(job.keys))

    def report(self, done: Done) -> None:
        row = self._rows.setdefault(done.stage, _Row(0))
        row.units.add(done.unit)  # a unit whose worker died is reported again
        row.done = len(row.units)
        row.kept += done.kept
        row.rejected += done.rejected
        row.seconds += done.seconds
        row.busy_s += done.wall_s
        row.last = time.monotonic()
        if row.done == 1:
            row.first = row.last - done.wall_s
        self.tell(done.stage, lambda: _line(done.stage, row), at_once=row.done in (1, row.total))

    def _table(self) -> Table:
        table = Table(box=None, pad_edge=False)
        for i, head in enumerate(_HEADS):
            table.add_column(head, justify="left" if i == 0 else "right")
        for name, row in self._rows.items():
            table.add_row(*_cells(name, row))
        return table


_HEADS = ("stage", "units", "kept", "rejected", "hours", "x real time", "ETA")


def _cells(name: str, row: _Row) -> tuple[str, ...]:
    elapsed = max(row.last - row.first, 1e-9)
    left = row.total - row.done
    eta = "done" if not left else clock(elapsed / row.done * left) if row.done else "–"
    speed = f"{row.seconds / row.busy_s:.1f}" if row.busy_s and row.seconds else "–"
    return name, f"{row.done}/{row.total}", str(row.kept), str(row.rejected), f"{row.seconds / 3600:.2f}", speed, eta


def _line(name: str, row: _Row) -> list[str]:
    return [f"{head} {cell}" if head != "stage" else cell for head, cell in zip(_HEADS, _cells(name, row), strict=True)]
