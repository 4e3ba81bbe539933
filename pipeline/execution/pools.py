"""Which jobs of a chain share their workers, and how many workers that makes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from voxmill.pipeline.execution.executor import Job, Keys
from voxmill.pipeline.stage import Resources


@dataclass(frozen=True, slots=True)
class Pool:
    """Workers that take a key through one job, or through neighbouring jobs one after the other."""

    jobs: tuple[Job, ...]
    resources: Resources

    @property
    def name(self) -> str:
        """The names of its jobs, as in `segment + transcribe:whisperx`."""
        return " + ".join(job.name for job in self.jobs)


def keys_of(jobs: Sequence[Job]) -> Keys:
    """The keys of a chain. Raises ValueError where its jobs differ in them."""
    first = jobs[0].keys if jobs else ()
    for job in jobs:
        if job.keys is not first and job.keys != first:
            raise ValueError(f"jobs {jobs[0].name} and {job.name} of one chain have other keys: give all of them the same")
    return first


def pools(jobs: Sequence[Job], workers: int | None) -> list[Pool]:
    """The pools that a chain needs; without keys, none.

    Jobs that share get one pool of `workers` (None: what the machines hold, one per core), each of which takes a key through all of them.
    Where every stage runs on the same cores that is the fastest: no core waits for the stage before, no two stages compete for one, and
    each process loads its models once. Stages that need devices of their own, or have stated resources, get a pool each.
    """
    found: list[Pool] = []
    if not len(keys_of(jobs)):
        return found
    for shares, group in groupby(jobs, key=lambda job: job.shares):
        if not shares:
            found += [Pool((job,), job.resources) for job in group]
            continue
        together = tuple(group)
        memory = sum(job.resources.memory_gb for job in together)
        found.append(Pool(together, Resources(workers=workers, cpus=SHARE, memory_gb=memory)))
    return found


SHARE = 0.9
"""Of a core, for a worker that does all: Ray's own tasks need the rest, or nothing could start."""

WORKER_GB = 3.0
"""Memory for a worker that holds every model of a chain, when their number follows from the machine."""


def workers_for(cores: float, memory_gb: float) -> int:
    """One worker per core, as memory allows."""
    return max(1, min(int(cores), int(memory_gb / WORKER_GB)))
