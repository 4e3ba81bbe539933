"""The live display of a run: for each stage the units, what was kept and rejected, the speed and the time left."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console, RenderableType

from voxmill.pipeline.execution.activity import activities, watched
from voxmill.pipeline.execution.executor import Job
from voxmill.pipeline.stage import Done
from voxmill.pipeline.terminal.display import Display, clock
from voxmill.pipeline.terminal.table import Column, number, table_of

WORKERS_SHOWN = 4
"""Maximum number of lines on what workers are doing."""

LOOK_EVERY_S = 0.5


@dataclass
class _Row:
    total: int
    done: int = 0
    kept: int = 0
    rejected: int = 0
    seconds: float = 0.0
    busy_s: float = 0.0
    first: float = field(default_factory=time.monotonic)
    last: float = 0.0

    @property
    def finished(self) -> bool:
        return self.done >= self.total


class Progress(Display):
    """`with Progress() as progress: progress.expect(jobs); …; progress.report(done)`."""

    def __init__(self, console: Console | None = None, *, quiet: bool = False) -> None:
        super().__init__(console, quiet=quiet)
        self._rows: dict[str, _Row] = {}
        self._folder: Path | None = None
        self._looked, self._seen = 0.0, [""]

    def expect(self, jobs: Sequence[Job]) -> None:
        """Adds a row for each job that has units to do."""
        self.phase("")
        for job in jobs:
            if len(job.keys):
                self._rows[job.name] = _Row(len(job.keys))

    @contextmanager
    def watching(self, session: str) -> Iterator[None]:
        """While the block runs, shows what the workers of this machine do; `session` names the folder in which they report it."""
        with watched(session) as self._folder:
            try:
                yield
            finally:
                self._folder = None

    def report(self, done: Done) -> None:
        """Counts a finished unit in the row of its stage."""
        row = self._rows.setdefault(done.stage, _Row(0))
        row.done += 1  # executors report a unit once, also one whose worker died
        row.kept += done.kept
        row.rejected += done.rejected
        row.seconds += done.seconds
        row.busy_s += done.wall_s
        row.last = time.monotonic()
        if row.done == 1:
            row.first = row.last - done.wall_s
        self.tell(done.stage, lambda: _line(done.stage, row), at_once=row.done in (1, row.total))

    def table(self) -> RenderableType | None:
        """As many rows as fit on the terminal, unfinished stages first; all rows at the end."""
        names, room = list(self._rows), max(3, self._console.height - WORKERS_SHOWN - 4)
        if not self.over and len(names) > room:
            at_work = [n for n in names if not self._rows[n].finished][:room]
            done = [n for n in names if self._rows[n].finished][: -(room - len(at_work)) or None]
            names = [n for n in names if n not in done][:room]
        return table_of(_COLUMNS, [_cells(name, self._rows[name]) for name in names], self._console.width) if names else None

    def now(self) -> Sequence[str]:
        """What the workers of this machine are doing, read at most every `LOOK_EVERY_S` seconds."""
        folder = self._folder
        if folder and time.monotonic() - self._looked > LOOK_EVERY_S:
            self._looked = time.monotonic()
            found = [str(activity) for activity in activities(folder)]
            more = [f"and {len(found) - WORKERS_SHOWN} more workers"] if len(found) > WORKERS_SHOWN else []
            self._seen = [*found[:WORKERS_SHOWN], *more]
            if not found and any(not row.finished for row in self._rows.values()):
                self._seen = ["starting workers"]
        return self._seen if folder else ()


_COLUMNS = (
    Column("stage"), number("units"), number("kept"), number("rejected", 1), number("hours"), number("x real time", 2), number("ETA"),
)  # fmt: skip


def _cells(name: str, row: _Row) -> tuple[str, ...]:
    elapsed = max(row.last - row.first, 1e-9)
    left = row.total - row.done
    eta = "done" if not left else clock(elapsed / row.done * left) if row.done else "–"
    speed = f"{row.seconds / row.busy_s:.1f}" if row.busy_s and row.seconds else "–"
    return name, f"{row.done}/{row.total}", str(row.kept), str(row.rejected), f"{row.seconds / 3600:.2f}", speed, eta


def _line(name: str, row: _Row) -> list[str]:
    heads = [column.name for column in _COLUMNS]
    return [f"{head} {cell}" if head != "stage" else cell for head, cell in zip(heads, _cells(name, row), strict=True)]
