"""What an executor runs: a chain of jobs, each a pool of workers that all see the same list of keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from voxmill.pipeline.stage import Done, Resources

Work = Callable[[str], Done]


@dataclass(frozen=True, slots=True)
class Job:
    """A named pool: `make()` builds one worker, `worker(key) -> Done` handles one key and is safe to repeat."""

    name: str
    make: Callable[[], Work]
    keys: tuple[str, ...]
    """Keys (units or shards) that are not done yet, in order."""
    resources: Resources


Report = Callable[[Done], None]
"""Called in the driver once for each key of each job."""


class Executor(Protocol):
    """Runs every key through the jobs in their order: a key enters a job when the one before has committed it."""

    def run(self, jobs: Sequence[Job], report: Report) -> None:
        """Raises the first error that is not an outcome; what was committed stays."""
        ...


class WorkerDied(Exception):
    """A worker process died again and again on the same key, although its members were tried alone."""
