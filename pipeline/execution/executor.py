"""What an executor runs: a chain of jobs, and the pools of workers that take keys through it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Protocol

from voxmill.manifests.errors import Unavailable
from voxmill.pipeline.stage import Done, Resources

Work = Callable[[str], Done]

MAX_DEATHS = 16
"""Deaths that one key may cost: the ledger gives a unit up after two, and two for each of six members; more means a broken machine."""


@dataclass(frozen=True, slots=True)
class Job:
    """One step for many keys: `make()` builds one worker, `worker(key) -> Done` handles one key and is safe to repeat."""

    name: str
    make: Callable[[], Work]
    keys: tuple[str, ...]
    """Keys (units or shards) that are not done yet, in order."""
    resources: Resources
    shares: bool = False
    """Whether one worker may do this job and its neighbours that share too; see `pools`."""


@dataclass(frozen=True, slots=True)
class Pool:
    """Workers that take a key through one job, or through neighbouring jobs one after the other."""

    jobs: tuple[Job, ...]
    resources: Resources

    @property
    def name(self) -> str:
        """The names of its jobs, as in `segment + transcribe:whisperx`."""
        return " + ".join(job.name for job in self.jobs)

    @property
    def keys(self) -> tuple[str, ...]:
        """Every key of any job once, in the order of the longest list that has it."""
        lists = sorted((job.keys for job in self.jobs), key=len, reverse=True)
        return tuple(dict.fromkeys(key for keys in lists for key in keys))

    def make(self) -> PoolWorker:
        """One worker, built in the process that runs it."""
        return PoolWorker(self.jobs)


class PoolWorker:
    """One worker of a pool. What it yields is done: a key that is repeated skips it."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._steps = [(job.make(), frozenset(job.keys)) for job in jobs]

    def __call__(self, key: str) -> Iterator[Done]:
        for work, keys in self._steps:
            if key in keys:
                yield work(key)


def pools(jobs: Sequence[Job], workers: int) -> list[Pool]:
    """The pools that a chain needs. Jobs without keys need none.

    Jobs that share get one pool of `workers` (one per core, say), each of which takes a key through all of them. Where every stage
    runs on the same cores that is the fastest: no core waits for the stage before, no two stages compete for one, and only `workers`
    processes load their models. Stages that need devices of their own, or have stated resources, get a pool each.
    """
    found: list[Pool] = []
    for shares, group in groupby((job for job in jobs if job.keys), key=lambda job: job.shares):
        if not shares:
            found += [Pool((job,), job.resources) for job in group]
            continue
        together = tuple(group)
        memory = sum(job.resources.memory_gb for job in together)
        found.append(Pool(together, Resources(workers=workers, cpus=SHARE, memory_gb=memory)))
    if len(found) == 1 and found[0].jobs[0].shares:  # nothing else needs the cores
        found = [Pool(found[0].jobs, found[0].resources.model_copy(update={"min_workers": workers}))]
    return found


SHARE = 0.9
"""Of a core, for a worker that does all: Ray's own tasks need the rest, or nothing could start."""

WORKER_GB = 3.0
"""Memory for a worker that holds every model of a chain, when their number follows from the machine."""


def workers_for(cores: float, memory_gb: float) -> int:
    """One worker per core, as memory allows."""
    return max(1, min(int(cores), int(memory_gb / WORKER_GB)))


Report = Callable[[Done], None]
"""Called in the driver once for each key of each job."""


class Executor(Protocol):
    """Runs every key through the jobs in their order: a key enters a job when the one before has committed it."""

    def run(self, jobs: Sequence[Job], report: Report) -> None:
        """Raises the first error that is not an outcome; what was committed stays."""
        ...


class WorkerDied(Unavailable):
    """A worker process died again and again on the same key, although its members were tried alone."""
