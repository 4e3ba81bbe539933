"""Arms (c) and (d): the whole of `voxmill run`, in this process, with a clock that stands still while workers start and stop.

Every worker loads its operator and hears one unit as soon as it is made; then it waits until those of all pools of the chain are up. The
clock runs from that moment to the last commit of the chain, and in everything that the driver does
besides: listing, forming units, planning shards, writing tables. What it leaves out is what the other arms leave out too: starting
processes, importing, loading, and ending them. How long that took is reported beside it.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Event, Thread
from typing import Any

from benchmarks.arms.bare import Texts
from benchmarks.arms.clock import Clock
from voxmill.manifests.catalog import open_catalog
from voxmill.operators.contract.unit_input import UnitInput
from voxmill.pipeline.execution.executor import NO_BOOKS, Books, Buffer, Executor, Job, KeyOnly, PoolStep, Report
from voxmill.pipeline.execution.host_limit_server import open_gate
from voxmill.pipeline.execution.pools import Pool, pools
from voxmill.pipeline.execution.worker import Worker
from voxmill.pipeline.load_config import parse_config
from voxmill.pipeline.runner import run_line
from voxmill.pipeline.stage import Done
from voxmill.pipeline.state.run import Run
from voxmill.pipeline.terminal.progress import Progress

POLL_S, LOOK_S = 0.02, 1.0
"""How often a waiting worker looks whether it may begin, and how often the clock looks whether all is done (s)."""
PATIENCE_S = 300.0
"""A worker that is not up by then never will be."""


def run(root: Path, settings: Mapping[str, Any], kind: str, executor: Executor, clock: Clock, warm_up: UnitInput) -> float:
    """One run, from sources to tables, on `clock`. Returns the seconds for which the clock stood still."""
    config = parse_config(dict(settings))
    began = time.monotonic()
    clock.resume("driver")
    with open_gate("machine", Run(str(root)), config.crawl) as gate:
        up_first = UpFirst(executor, clock, warm_up, config.executor.workers or 1)
        run_line(config, Run(str(root)), up_first, gate, Progress(quiet=True))
        clock.pause()
    return time.monotonic() - began - clock.wall_s


def texts_of(root: Path) -> Texts:
    """What the run's engines heard, from its tables."""
    rows = open_catalog(str(root)).execute("SELECT segment_id, engine, text FROM hypotheses").fetchall()
    return {(segment, engine): text for segment, engine, text in rows}


def spent_in(root: Path) -> dict[str, float]:
    """CPU-seconds of the run's workers by stage, as the run itself has noted them."""
    con = open_catalog(str(root))
    return dict(con.execute("SELECT concat_ws(':', stage, engine), sum(cpu_s) FROM costs GROUP BY ALL").fetchall())


class UpFirst:
    """An executor whose jobs begin when all of their workers are up."""

    def __init__(self, inner: Executor, clock: Clock, warm_up: UnitInput, cores: int) -> None:
        self._inner, self._clock, self._warm_up, self._cores = inner, clock, warm_up, cores

    def run(self, jobs: Sequence[Job], report: Report, books: Books = NO_BOOKS) -> None:
        if not jobs or not len(jobs[0].keys):
            return
        count = min(self._cores, len(jobs[0].keys))  # of workers, all there from the start
        fixed = {"workers": count, "min_workers": count}
        jobs = [replace(job, resources=job.resources.model_copy(update=fixed)) for job in jobs]
        with self._watched(pools(jobs, count), count) as folder:
            held = [replace(job, make=partial(Held, job.make, job.name, str(folder), self._warm_up)) for job in jobs]
            self._inner.run(held, report, books)

    @contextmanager
    def _watched(self, group: Sequence[Pool], count: int) -> Iterator[Path]:
        self._clock.pause()
        jobs = [job for pool in group for job in pool.jobs]
        workers = count * len(jobs)
        keys = sum(len(job.keys) for job in jobs)
        stop = Event()
        with tempfile.TemporaryDirectory(prefix="voxmill-bench-") as name:
            watcher = Thread(target=self._watch, args=(Path(name), jobs[0].name, workers, keys, stop), daemon=True)
            watcher.start()
            try:
                yield Path(name)
            finally:
                stop.set()
                watcher.join()
        self._clock.resume("driver")

    def _watch(self, folder: Path, lap: str, workers: int, keys: int, stop: Event) -> None:
        """Runs the clock from `go` to the last commit, as the workers note it: looking seldom costs the arm nothing."""
        last, spent = None, dict[int, float]()
        if _until(lambda: len(list(folder.glob("up-*"))) >= workers, stop):
            self._clock.resume(lap)
            (folder / "go").touch()
            _until(lambda: sum(1 for _ in folder.glob("done-*")) >= keys, stop)
            for note in folder.glob("done-*"):
                pid, seconds, moment = note.read_text().split()
                spent[int(pid)] = max(spent.get(int(pid), 0.0), float(seconds))
                last = max(last or 0.0, float(moment))
        self._clock.pause(last, spent)


def _until(reached: Callable[[], bool], stop: Event) -> bool:
    while not reached():
        if stop.wait(LOOK_S):
            return reached()
    return True


class Held:
    """A worker that is loaded and warm, and waits with its first key until all the others are."""

    def __init__(self, make: Callable[[], PoolStep], name: str, folder: str, warm_up: UnitInput) -> None:
        self._step, self._name, self._folder = make(), name, Path(folder)
        worker = self._step.work if isinstance(self._step, KeyOnly) else self._step
        if isinstance(worker, Worker):
            operator = worker._build()
            if name in ("decode", "segment") or name.startswith("transcribe:"):
                operator(warm_up)
        (self._folder / f"up-{uuid.uuid4().hex}").touch()
        self._held = True

    def __call__(self, key: str, carried: dict[str, Any], buffer: Buffer, strikes: int) -> Done:
        deadline = time.monotonic() + PATIENCE_S
        while self._held and not (self._folder / "go").exists() and time.monotonic() < deadline:
            time.sleep(POLL_S)
        self._held = False
        done = self._step(key, carried, buffer, strikes)
        times, path = os.times(), self._folder / f"done-{self._name.replace(':', '-')}-{key}"
        with contextlib.suppress(FileNotFoundError):
            path.with_name(f".{path.name}").write_text(f"{os.getpid()} {times.user + times.system} {time.monotonic()}")
            path.with_name(f".{path.name}").rename(path)
        return done
