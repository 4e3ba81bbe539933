"""What runs in a worker's process: the steps of one pool, the buffer that they share, and when it is flushed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from voxmill.pipeline.execution.executor import MAX_HELD, Books, Buffer, Job
from voxmill.pipeline.execution.pools import Pool
from voxmill.pipeline.stage import Done

PATIENCE_S = 5.0
"""Time after which a worker gives back what it was handed and has not begun (s): others may have nothing to do."""


@dataclass(frozen=True, slots=True)
class Task:
    """One key, on its way to a worker."""

    key: str
    strikes: int = 0
    carried: Any = None
    """What the pool before made of it. None in the first pool, or when it is lost: then it is committed."""


@dataclass(frozen=True, slots=True)
class Handled:
    """What a worker has to say after some tasks, or after a flush."""

    done: tuple[tuple[Done, ...], ...] = ()
    """For each task that it took, in order: what its steps reported. Tasks that are missing at the end were not begun."""
    carried: tuple[Any, ...] = ()
    """For each of these tasks: what goes with it to the next pool. None lets the key wait until it is committed."""
    covered: int | None = None
    """So many of these tasks are flushed, and with them all that the worker held before; None: nothing was."""
    flushed: tuple[Any, ...] = ()
    """Descriptions of what was flushed, for `Books.committed`."""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class PoolWorkerSpec:
    """How to make a worker of a pool, in whichever process it is to run. Picklable."""

    jobs: tuple[Job, ...]
    make_buffer: Callable[[], Buffer]
    commit_seconds: float
    passes_on: bool = False
    """Whether there is a next pool."""

    def __call__(self) -> PoolWorker:
        return PoolWorker(self)


def specs_of(pools: Sequence[Pool], books: Books, commit_seconds: float) -> list[PoolWorkerSpec]:
    """The workers of the pools of a chain."""
    last = len(pools) - 1
    return [PoolWorkerSpec(pool.jobs, books.make_buffer, commit_seconds, n < last) for n, pool in enumerate(pools)]


class PoolWorker:
    """One worker of a pool."""

    def __init__(self, spec: PoolWorkerSpec) -> None:
        self._spec = spec
        self._steps = [job.make() for job in spec.jobs]
        self._buffer = spec.make_buffer()
        self._held = 0
        self._oldest = 0.0
        """When the first of the keys that are held was finished."""
        self._suspect: tuple[str, dict[str, Any]] = "", {}
        """The key that is taken through one step at a time, and what it carries."""

    def work(self, tasks: Sequence[Task], step: int | None = None) -> Handled:
        """Takes tasks through all steps one after the other, or one only through the step numbered `step`: so a key is handled that is
        suspected to kill its worker. It is flushed as soon as it is finished: it has cost enough.

        Raises what a step raises; the keys before it stay held, for a later flush.
        """
        began = time.monotonic()
        steps = self._steps if step is None else [self._steps[step]]
        ends = step is None or step == len(self._steps) - 1
        done, passed, flushed = list[tuple[Done, ...]](), list[Any](), list[Any]()
        covered: int | None = None
        for task in tasks:
            if done and time.monotonic() - began > PATIENCE_S:
                break
            carried = self._carried(task, step)
            done.append(tuple(one(task.key, carried, self._buffer, task.strikes) for one in steps))
            passed.append((carried or None) if ends and self._spec.passes_on else None)
            if not ends:
                continue
            if self._hold() or step is not None:
                flushed += self.flush().flushed
                covered = len(done)
        return Handled(tuple(done), tuple(passed), covered, tuple(flushed), time.monotonic() - began)

    def flush(self) -> Handled:
        """Commits what is held."""
        description = self._buffer.flush() if len(self._buffer) else None
        self._held = 0
        return Handled(covered=0, flushed=() if description is None else (description,))

    def _carried(self, task: Task, step: int | None) -> dict[str, Any]:
        if step and self._suspect[0] == task.key:
            return self._suspect[1]
        carried: dict[str, Any] = task.carried or {}
        self._suspect = task.key if step is not None else "", carried
        return carried

    def _hold(self) -> bool:
        """Counts a key that is finished; whether to flush."""
        if not len(self._buffer):
            return True
        self._oldest = self._oldest if self._held else time.monotonic()
        self._held += 1
        return self._held >= MAX_HELD or time.monotonic() - self._oldest >= self._spec.commit_seconds
