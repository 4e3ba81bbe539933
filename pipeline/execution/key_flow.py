"""The keys of one pool: which wait, which are handed out and to whom, which are finished and not yet committed."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from voxmill.pipeline.execution.executor import Keys
from voxmill.pipeline.execution.pool_worker import Task

MAX_TASKS = 64
"""Keys that a worker is handed at once, at most."""

BATCH_S = 2.0
"""Work that a worker is handed at once (s), at most: enough that the way there and back does not count, and what is finished is seen soon."""

MIN_AHEAD = 4
"""Keys that may wait for a pool before the pool before it pauses, at least."""


@dataclass(slots=True, eq=False)
class FlowItem:
    """A key in one pool, from the moment it is taken until it is committed there."""

    key: str
    carried: Any = None
    blamed: set[int] = field(default_factory=set)
    """Numbers of the jobs in the pool that it is known to have ended its worker in."""
    alone: bool = False
    """Whether it is suspected, and handed out alone, one job after the other."""
    step: int = 0
    told: int = 0
    """How many jobs have reported it: a repetition is not reported again."""
    deaths: int = 0
    """Workers that died while they had it."""
    losses: int = 0
    """Machines that went while a worker on them had it."""
    finished: bool = False
    forwarded: bool = False
    """Whether the next pool has it; in the last pool: whether it was committed."""

    def task(self, strikes_of: Callable[[str], int]) -> Task:
        """What a worker is given. Where it is known which jobs it strikes, the others are not told of strikes."""
        told = self.alone and (not self.blamed or self.step in self.blamed)
        return Task(self.key, strikes_of(self.key) if told else 0, self.carried)


class KeyFlow:
    """Keys come one after the other from `keys` (the first pool), or from the pool before, by `put`.

    `strikes_of(key)` are the strikes that a key has when it comes.
    """

    def __init__(
        self, steps: int, keys: Keys, before: KeyFlow | None, strikes_of: Callable[[str], int], batch_s: float = BATCH_S
    ) -> None:
        self.steps, self._before, self._strikes_of = steps, before, strikes_of
        self.waiting: deque[FlowItem] = deque()
        self.parked: dict[str, FlowItem] = {}
        """Items that need once more what the pool before made of them."""
        self.unforwarded = 0
        """Items of this pool that the next one does not have."""
        self.finished = 0
        self.seconds_per_key: float | None = None
        self._total, self._batch_s = len(keys), batch_s
        self._source: Iterator[str] = iter(keys) if before is None else iter(())
        self._next = next(self._source, None)

    @property
    def comes(self) -> bool:
        """Whether keys may still come from before this pool."""
        return self._next is not None or (self._before is not None and (self._before.comes or self._before.unforwarded > 0))

    @property
    def has_some(self) -> bool:
        """Whether a key can be handed out now."""
        return bool(self.waiting) or self._next is not None

    @property
    def left(self) -> int:
        """Keys that are not finished here."""
        return self._total - self.finished

    def put(self, key: str, carried: Any) -> None:
        """A key comes from the pool before."""
        if item := self.parked.pop(key, None):
            item.carried = carried
        else:
            item = FlowItem(key, carried, alone=self._strikes_of(key) > 0)
            self.unforwarded += 1
        self.waiting.append(item)

    def put_back(self, items: list[FlowItem]) -> None:
        """Items that have to be done again come first."""
        for item in items:
            self.finished -= item.finished
            item.finished = False
        self.waiting.extendleft(reversed(items))

    def take(self, workers: int, most: int) -> list[FlowItem]:
        """What one worker is handed: one key that is suspected, or as many as fit."""
        count, taken = min(self.batch(workers), most), list[FlowItem]()
        while len(taken) < count and self.has_some:
            if not self.waiting and self._next is not None:
                key, self._next = self._next, next(self._source, None)
                self.put(key, None)
            if self.waiting[0].alone:
                return taken or [self.waiting.popleft()]
            taken.append(self.waiting.popleft())
        return taken

    def batch(self, workers: int) -> int:
        """How many keys a worker is handed: as many as fit into the time, and fewer towards the end, so that no worker waits for another."""
        if self.seconds_per_key is None:
            return 1
        fit = self._batch_s / max(self.seconds_per_key, 1e-6)
        return max(1, min(MAX_TASKS, int(fit), math.ceil(self.left / (2 * max(workers, 1)))))

    def ahead(self, workers: int) -> int:
        """How many keys may wait for this pool."""
        return max(MIN_AHEAD, 2 * max(workers, 1) * self.batch(workers))

    def finish(self, item: FlowItem) -> None:
        """All jobs have handled it."""
        self.finished += 1
        item.finished = True

    def measured(self, seconds: float, keys: int) -> None:
        """So long took so many keys. The last ones count most: the first key of a worker includes loading its models."""
        each = seconds / keys
        self.seconds_per_key = each if self.seconds_per_key is None else (self.seconds_per_key + each) / 2
