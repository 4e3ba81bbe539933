"""The local executor: the reference semantics, without Ray. One pool after the other, each of a few worker processes.

Every worker is a process of its own, so that an input that kills its worker costs one attempt of one unit and nothing else.
With `in_process=True` jobs run in this process: what unit tests and `voxmill replay` use.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from concurrent.futures import TimeoutError as FutureTimeoutError
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import resource_tracker
from queue import Empty, SimpleQueue
from threading import Event, Thread

import psutil

from voxmill.pipeline.execution.cpu_type import pin
from voxmill.pipeline.execution.executor import MAX_DEATHS, Job, Pool, PoolWorker, Report, WorkerDied, pools, workers_for
from voxmill.pipeline.execution.malloc import keep_memory
from voxmill.pipeline.stage import Done

GRACE_S = 10.0
"""How long a worker may take to let go of its unit when the run is stopped."""

_worker: PoolWorker | None = None


class LocalExecutor:
    """`workers` is how many take keys through stages that share them; None: one per core, as memory allows."""

    def __init__(self, *, in_process: bool = False, workers: int | None = None, same_results: bool = False) -> None:
        self._in_process = in_process
        memory_gb = psutil.virtual_memory().total / 2**30
        self._workers = workers or workers_for(_cores(), memory_gb)
        if not in_process:
            keep_memory()
        if same_results:
            pin()

    def run(self, jobs: Sequence[Job], report: Report) -> None:
        """See `Executor.run`. Raises WorkerDied where a key kills its worker `MAX_DEATHS` times."""
        for pool in pools(jobs, self._workers):
            if self._in_process:
                member = pool.make()
                for key in pool.keys:
                    for done in member(key):
                        report(done)
            else:
                _run_pool(pool, report)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _run_pool(pool: Pool, report: Report) -> None:
    """One thread per worker process; they share one queue of keys, so a slow key never holds up the others."""
    keys: SimpleQueue[str] = SimpleQueue()
    for key in pool.keys:
        keys.put(key)
    done: SimpleQueue[Done] = SimpleQueue()
    stop = Event()
    count = min(pool.resources.workers, len(pool.keys))
    with ThreadPoolExecutor(count, thread_name_prefix=pool.name) as threads:
        pending = {threads.submit(_drain, _Process(pool.make, stop), keys, done) for _ in range(count)}
        try:
            while pending:
                finished, pending = wait(pending, timeout=0.2, return_when=FIRST_EXCEPTION)
                _forward(done, report)
                for future in finished:
                    future.result()
        except BaseException:
            stop.set()
            raise
    _forward(done, report)


def _drain(worker: _Process, keys: SimpleQueue[str], done: SimpleQueue[Done]) -> None:
    resource_tracker.ensure_running()  # its start would take the block away again
    signal.pthread_sigmask(
        signal.SIG_BLOCK, {signal.SIGINT}
    )  # processes started here begin so: Ctrl-C finds none half imported
    with worker:
        while True:
            try:
                key = keys.get_nowait()
            except Empty:
                return
            for one in worker(key):
                done.put(one)


def _forward(done: SimpleQueue[Done], report: Report) -> None:
    while not done.empty():
        report(done.get())


class _Stopped(Exception):
    """The run is being stopped; not an error of this worker."""


class _Process:
    """One worker in one process, started again when it dies."""

    def __init__(self, make: Callable[[], PoolWorker], stop: Event) -> None:
        self._make, self._stop = make, stop
        self._pool = self._start()

    def __call__(self, key: str) -> list[Done]:
        for _ in range(MAX_DEATHS):
            try:
                return self._result(self._pool.submit(_call, key))
            except BrokenProcessPool:
                self._pool.shutdown(wait=False)
                self._pool = self._start()
        raise WorkerDied(f"the worker died {MAX_DEATHS} times on {key}")

    def __enter__(self) -> _Process:
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _result(self, future: Future[list[Done]]) -> list[Done]:
        while True:
            try:
                return future.result(timeout=0.2)
            except FutureTimeoutError:  # Python 3.10 has a class of its own
                if self._stop.is_set():
                    self._terminate()
                    raise _Stopped from None

    def _terminate(self) -> None:
        processes = list((self._pool._processes or {}).values())  # no public way to end a worker that is busy
        for process in processes:
            process.terminate()
        for process in processes:
            process.join(GRACE_S)
            process.kill()

    def _start(self) -> ProcessPoolExecutor:
        # spawn: a fork of a process that holds threads (progress display, torch) may deadlock
        return ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), initializer=_init, initargs=(self._make,))


def _init(make: Callable[[], PoolWorker]) -> None:
    global _worker
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")  # as Ray does: torch with default threads is many times slower on small models
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the driver decides
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    Thread(target=_die_with_parent, daemon=True).start()
    _worker = make()


def _die_with_parent() -> None:
    """A driver that is killed cannot stop its workers, and they would wait for keys for ever, their models in memory."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _call(key: str) -> list[Done]:
    assert _worker is not None
    return list(_worker(key))
