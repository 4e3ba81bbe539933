"""The contract of executors: what a driver gives them, what a worker's steps are asked, and what comes back.

**The driver** calls `executor.run(jobs, report, books)`. The jobs of one call are a chain over the same `Keys`: every key goes through all of
them, in their order. Keys are read one after the other, as workers get free, and never kept: a run of millions costs the driver what is
in the hands of its workers. Neighbouring jobs with `shares` run in the same workers (`pools.py`), all pools of a chain at the same time.

**A step** is what `job.make()` returns in a worker's process. It is called as `step(key, carried, buffer, strikes) -> Done`:

- `carried`: what earlier steps made of this key, by stage name. A step puts in what the steps after it read. It goes with the key to the next
  pool (pickled, a few kB). It may lack anything: what is not there is committed, and can be read.
- `buffer`: what this worker has finished and not committed, for all its steps; made by `books.make_buffer`. A key is *held* while there is
  something in it, and done again when its worker dies. It is flushed when `commit_seconds` have passed since the oldest held key was finished,
  at `MAX_HELD` keys, when the worker has nothing to do, and at its end. A step that puts nothing in has committed its key when it returns.
- `strikes`: how often this key has ended its worker, as `books.strikes_of` has it.

It is safe to repeat, and answers `Done(skipped=True)` for a key that it has done: nobody else knows.

**What is certain.** Each key ends committed in each job, or `run` raises. `report` is called once for each key of each job, as soon as the key
is finished. When a worker dies, the keys that it held are done again by another, without a strike. Of the keys in its hands, one that was
alone is struck; several are tried again one by one. A key that is tried again goes through one job at a time, so that the next strike names
the job, and only that job is told of it. A machine that is lost strikes nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from voxmill.manifests.errors import Unavailable
from voxmill.pipeline.stage import Done, Resources

COMMIT_SECONDS = 60.0
"""What a killed worker may have to do again (s of work), where nothing else is configured."""

MAX_HELD = 512
"""Keys that a worker holds uncommitted at most: the driver remembers each of them."""

SETTLE_S = 2.0
"""How often the driver is told what was committed (s): one entry in its journal for all workers."""

MAX_DEATHS = 16
"""Deaths that one key may cost: a unit is given up after two, and two for each of six members; more means a broken machine."""


class Keys(Protocol):
    """Keys (units or shards) of a chain, in order: can be iterated again and again, and has a length. A tuple is one."""

    def __iter__(self) -> Iterator[str]:
        """The keys, one after the other."""
        ...

    def __len__(self) -> int:
        """How many there are."""
        ...


@dataclass(frozen=True, slots=True)
class LazyKeys:
    """Keys that are in no memory: `each()` reads them anew, say from a query.

    >>> len(LazyKeys(lambda: (f"unit-{n}" for n in range(10**9)), 10**9))
    1000000000
    """

    each: Callable[[], Iterator[str]]
    count: int

    def __iter__(self) -> Iterator[str]:
        return self.each()

    def __len__(self) -> int:
        return self.count


class Buffer(Protocol):
    """What a worker has finished and not committed: one in each worker process. Executors know nothing of what is in it."""

    def __len__(self) -> int:
        """How much is held; 0: there is nothing to flush."""
        ...

    def flush(self) -> Any | None:
        """Commits what is held. Returns a picklable description of it for `Books.committed`. Safe to repeat where it was interrupted."""
        ...


class NoBuffer:
    """Where every step commits each key itself."""

    def __len__(self) -> int:
        return 0

    def flush(self) -> None:
        """There is nothing."""


class PoolStep(Protocol):
    """See the top of this file. Raises StageError where the stage or the machine fails, not the key."""

    def __call__(self, key: str, carried: dict[str, Any], buffer: Buffer, strikes: int, /) -> Done: ...


class KeyOnly:
    """A step made of something that takes a key alone, reads what it needs and commits what it makes."""

    def __init__(self, make: Callable[[], Callable[[str], Done]]) -> None:
        self.work = make()

    def __call__(self, key: str, carried: dict[str, Any], buffer: Buffer, strikes: int) -> Done:
        """See `PoolStep`."""
        return self.work(key)


@dataclass(frozen=True, slots=True)
class Job:
    """One step for many keys: `make()` builds the step, once in each worker process. Picklable."""

    name: str
    make: Callable[[], PoolStep]
    keys: Keys
    """The same for all jobs of a chain. A job that has nothing to do is left out by its driver."""
    resources: Resources
    shares: bool = False
    """Whether one worker may do this job and its neighbours that share too; see `pools`."""


Report = Callable[[Done], None]
"""Called in the driver once for each key of each job."""


@dataclass(frozen=True, slots=True)
class Books:
    """What the driver keeps of a run, as far as executors are concerned. All but `make_buffer` are called in the driver's thread."""

    make_buffer: Callable[[], Buffer] = NoBuffer
    """Makes the buffer of a worker, in its process. Picklable."""
    committed: Callable[[Sequence[Any]], None] = lambda descriptions: None
    """What workers have flushed, every `SETTLE_S` seconds. Its keys count as committed when this has returned."""
    strikes_of: Callable[[str], int] = lambda key: 0
    """Strikes of a key until now, by this driver and those before it. Asked whenever a key is handed out."""
    struck: Callable[[Sequence[str], Sequence[str]], None] = lambda jobs, keys: None
    """Keys have ended their worker, in one of these jobs. Called before they are tried again; rare, so it may write to a store."""
    in_flight: Callable[[Sequence[str]], None] = lambda keys: None
    """The keys in the hands of workers, every half minute, where they have changed: what a machine that dies with its driver leaves behind."""
    say: Callable[[str], None] = lambda line: None
    """A line for the screen: what a run waits for, and each fault once."""


NO_BOOKS = Books()


class Executor(Protocol):
    """Runs every key through the jobs in their order. Two of them, one contract: `local_executor.py`, `ray_executor.py`."""

    def run(self, jobs: Sequence[Job], report: Report, books: Books = NO_BOOKS) -> None:
        """Raises the first error that is not an outcome, and ValueError where jobs differ in their keys; what was committed stays."""
        ...


class WorkerDied(Unavailable):
    """Workers die again and again: on the same key, although its members were tried alone, or while they start."""
