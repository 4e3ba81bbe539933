"""What the dispatcher asks of those who run workers (processes here, actors on a cluster), and what they tell it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from voxmill.pipeline.execution.pool_worker import Handled, Task


@dataclass(frozen=True, slots=True)
class Start:
    """Start a worker of a pool; it may have to wait for its place."""

    worker: int
    pool: int


@dataclass(frozen=True, slots=True)
class Hand:
    """Let a worker that has nothing to do handle these tasks, in all steps or one."""

    worker: int
    tasks: tuple[Task, ...]
    step: int | None


@dataclass(frozen=True, slots=True)
class Flush:
    """Let a worker that has nothing to do commit what it holds."""

    worker: int


@dataclass(frozen=True, slots=True)
class Stop:
    """End a worker that has nothing to do, or has not come up yet."""

    worker: int


@dataclass(frozen=True, slots=True)
class Placed:
    """A worker has its place on a node, and is loading."""

    worker: int
    node: str


@dataclass(frozen=True, slots=True)
class Ready:
    """A worker can be handed tasks."""

    worker: int


@dataclass(frozen=True, slots=True)
class TasksHandled:
    """A worker has done what it was handed, or has flushed."""

    worker: int
    handled: Handled


@dataclass(frozen=True, slots=True)
class Died:
    """A worker is gone, or can no longer be reached."""

    worker: int
    why: str
    node_lost: bool = False
    """Whether its machine is gone with it: then it was hardly a key."""


@dataclass(frozen=True, slots=True)
class CarriedLost:
    """A worker could not begin, because what a key carried is gone with the machine that it was on. The worker is well."""

    worker: int


Action: TypeAlias = "Start | Hand | Flush | Stop"
Event: TypeAlias = "Placed | Ready | TasksHandled | Died | CarriedLost"


@dataclass(frozen=True, slots=True)
class Room:
    """How many workers of a pool there may be."""

    most: int
    """What was stated, or what the machines hold now; at least 1."""
    more: int = 0
    """Workers that may wait for a place beyond that: they make a cluster's autoscaler add machines."""


class Crew(Protocol):
    """Runs the workers of all pools. Workers are numbered by the dispatcher."""

    def carry_out(self, action: Action) -> None:
        """Does not wait for it."""
        ...

    def wait(self, seconds: float) -> Iterable[Event]:
        """What has happened since; waits so long for something. Raises what a step has raised."""
        ...

    def rooms(self) -> Sequence[Room]:
        """For each pool; cheap enough to be asked at every turn."""
        ...

    def missing(self, pool: int, long: bool) -> str | None:
        """Why no worker of a pool has a place, for the screen. Where a machine can hold one, there is something to say only after a `long` time."""
        ...

    def stop(self) -> Iterable[Handled]:
        """Ends all workers; those that can be asked in time commit what they hold, and this is what they say."""
        ...
