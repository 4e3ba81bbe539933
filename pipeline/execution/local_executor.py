"""The local executor: the reference semantics, without Ray.

Every worker is a process of its own, so that an input that kills its worker costs one attempt of one unit and nothing else.
With `in_process=True` jobs run in this process: what unit tests and `voxmill replay` use.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import psutil

from voxmill.pipeline.execution.cpu_type import pin
from voxmill.pipeline.execution.crew import Room
from voxmill.pipeline.execution.drive import drive
from voxmill.pipeline.execution.executor import COMMIT_SECONDS, NO_BOOKS, Books, Job, Report
from voxmill.pipeline.execution.local_crew import LocalCrew
from voxmill.pipeline.execution.malloc import keep_memory
from voxmill.pipeline.execution.pool_worker import PoolWorker, PoolWorkerSpec, Task, specs_of
from voxmill.pipeline.execution.pools import keys_of, pools, workers_for
from voxmill.pipeline.execution.team import teams_of


class LocalExecutor:
    """`workers` is how many take keys through stages that share them; None: one per core, as memory allows."""

    def __init__(
        self,
        *,
        in_process: bool = False,
        workers: int | None = None,
        same_results: bool = False,
        commit_seconds: float = COMMIT_SECONDS,
    ) -> None:
        self._in_process, self._commit_seconds = in_process, commit_seconds
        self._cores = _cores()
        self._workers = workers or workers_for(self._cores, psutil.virtual_memory().total / 2**30)
        if not in_process:
            keep_memory()
        if same_results:
            pin()

    def run(self, jobs: Sequence[Job], report: Report, books: Books = NO_BOOKS) -> None:
        """See `Executor.run`. Raises WorkerDied where a key kills its worker again and again."""
        if self._in_process:
            self._run_here(jobs, report, books)
            return
        chain = pools(jobs, self._workers)
        if chain:
            rooms = [Room(pool.resources.workers or self._cores) for pool in chain]
            crew = LocalCrew(specs_of(chain, books, self._commit_seconds), rooms)
            teams = teams_of(chain, keys_of(jobs), books, self._commit_seconds)
            drive(teams, crew, report, books, self._commit_seconds)

    def _run_here(self, jobs: Sequence[Job], report: Report, books: Books) -> None:
        keys = keys_of(jobs)
        if not len(keys):
            return
        worker = PoolWorker(PoolWorkerSpec(tuple(jobs), books.make_buffer, self._commit_seconds))
        try:
            for key in keys:
                handled = worker.work([Task(key, books.strikes_of(key))])
                if handled.flushed:
                    books.committed(handled.flushed)
                for done in handled.done[0]:
                    report(done)
        finally:
            if flushed := worker.flush().flushed:
                books.committed(flushed)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
