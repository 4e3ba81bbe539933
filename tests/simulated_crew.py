"""A crew in virtual time: workers that take their time to come up, handle keys, hold results, die, hang, are cut off, and lose payloads."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from voxmill.pipeline.execution.crew import (
    Action,
    CarriedLost,
    Died,
    Event,
    Flush,
    Hand,
    Placed,
    Ready,
    Room,
    Start,
    TasksHandled,
)
from voxmill.pipeline.execution.executor import MAX_HELD
from voxmill.pipeline.execution.pool_worker import Handled, Task
from voxmill.pipeline.stage import Done

PATIENCE_S = 5.0


@dataclass
class World:
    """How bad it is there."""

    seed: int
    jobs: Sequence[Sequence[str]]
    """Names of the jobs of each pool."""
    places: int = 4
    """Workers that find a place at a time."""
    nodes: int = 2
    key_s: float = 1.0
    commit_seconds: float = 60.0
    buffered: bool = True
    payloads: float = 1.0
    """Probability that what a key leaves behind goes on to the next pool at once."""
    stillborn: float = 0.0
    random_death: float = 0.0
    """Probability, for a batch."""
    cut_off: float = 0.0
    """Probability, for a batch, that its worker cannot be reached for a while, is given up, and answers late."""
    node_death: float = 0.0
    """Probability, for a batch, that its whole node dies."""
    poison: dict[str, str] = field(default_factory=dict)
    """Key to the job in which it kills its worker until it is told of two strikes."""


@dataclass
class SimulatedWorker:
    """One worker."""

    pool: int
    node: str = ""
    held: list[str] = field(default_factory=list)
    oldest: float = 0.0
    hand: Hand | None = None


class SimulatedCrew:
    """See `Crew`. Records what really happened, for tests to hold the dispatcher against."""

    def __init__(self, world: World) -> None:
        self.world, self.random, self.now = world, Random(world.seed), 0.0
        self.workers: dict[int, SimulatedWorker] = {}
        self.waiting: list[int] = []
        """Workers without a place."""
        self.queue: list[tuple[float, int, Event]] = []
        self.number = 0
        self.committed: list[set[str]] = [set() for _ in world.jobs]
        self.lost: set[int] = set()
        """Nodes, by number of the life that they had."""
        self.lives = list(range(world.nodes))
        self.single_deaths: list[tuple[tuple[str, ...], str]] = []
        self.handled_while_held: list[str] = []
        self.most_workers = 0
        self.problems: list[str] = []

    def carry_out(self, action: Action) -> None:
        if isinstance(action, Start):
            self.workers[action.worker] = SimulatedWorker(action.pool)
            self.waiting.append(action.worker)
        elif isinstance(action, Hand):
            self._hand(action)
        elif isinstance(action, Flush):
            self.workers[action.worker].hand = Hand(action.worker, (), None)
            self._later(0.1, TasksHandled(action.worker, self._flush(self.workers[action.worker])))
        else:
            worker = self.workers.pop(action.worker)
            if worker.held:
                self.problems.append(f"{action.worker} was stopped while it held {worker.held}")
            if action.worker in self.waiting:
                self.waiting.remove(action.worker)
        self._place()

    def wait(self, seconds: float) -> Iterable[Event]:
        if not self.queue or self.queue[0][0] > self.now + seconds:
            self.now += seconds
            return
        while self.queue and self.queue[0][0] <= max(self.now, self.queue[0][0]):
            moment, _, event = self.queue[0]
            if moment > self.now + seconds:
                break
            heapq.heappop(self.queue)
            self.now = max(self.now, moment)
            yield from self._happen(event)
            break

    def rooms(self) -> Sequence[Room]:
        return [Room(self.world.places, 2) for _ in self.world.jobs]

    def missing(self, pool: int, long: bool) -> str | None:
        return f"no place for pool {pool}"

    def stop(self) -> Iterator[Handled]:
        return iter(())

    def _later(self, seconds: float, event: Event) -> None:
        self.number += 1
        heapq.heappush(self.queue, (self.now + seconds, self.number, event))

    def _place(self) -> None:
        placed = [worker for worker in self.workers.values() if worker.node]
        self.most_workers = max(self.most_workers, len(placed))
        while self.waiting and len(placed) < self.world.places:
            number = self.waiting.pop(0)
            worker = self.workers[number]
            worker.node = f"n{self.random.choice(self.lives)}"
            placed.append(worker)
            self._later(0.2, Placed(number, worker.node))
            if self.random.random() < self.world.stillborn:
                self._later(1.0, Died(number, "killed while it started"))
            else:
                self._later(self.random.uniform(0.3, 5.0), Ready(number))

    def _happen(self, event: Event) -> Iterator[Event]:
        worker = self.workers.get(event.worker)
        if worker is None and not isinstance(event, TasksHandled):
            return
        if isinstance(event, Died):
            assert worker is not None
            hand = worker.hand
            if hand is not None and len(hand.tasks) == 1 and not event.node_lost:
                names = self.world.jobs[worker.pool]
                known = hand.step is not None or len(names) == 1
                self.single_deaths.append((tuple(names if not known else [names[hand.step or 0]]), hand.tasks[0].key))
            del self.workers[event.worker]
        elif isinstance(event, TasksHandled) and worker is not None:
            worker.hand = None
            for key in event.handled.flushed:
                if key in self.committed[worker.pool]:
                    self.problems.append(f"{key} was committed twice in pool {worker.pool}")
                self.committed[worker.pool].add(key)
        yield event
        self._place()

    def _hand(self, action: Hand) -> None:
        worker, world = self.workers[action.worker], self.world
        if worker.hand is not None:
            self.problems.append(f"{action.worker} was handed something while it was busy")
        worker.hand = action
        if any(isinstance(task.carried, tuple) and task.carried[0] in self.lost for task in action.tasks):
            worker.hand = None
            self._later(0.1, CarriedLost(action.worker))
            return
        names = world.jobs[worker.pool]
        steps = range(len(names)) if action.step is None else [action.step]
        for task in action.tasks:
            self._check_task(worker.pool, task)
            for step in steps:
                if world.poison.get(task.key) == names[step] and task.strikes < 2:
                    self._later(world.key_s, Died(action.worker, "poison"))
                    return
        luck = self.random.random()
        if luck < world.random_death:
            self._later(self.random.uniform(0, 3), Died(action.worker, "killed"))
        elif luck < world.random_death + world.node_death:
            self._lose_node(worker.node)
        elif luck < world.random_death + world.node_death + world.cut_off:
            self._later(30.0, Died(action.worker, "cannot be reached", node_lost=True))
            self._later(45.0, TasksHandled(action.worker, self._work(worker, action)[0]))  # nobody may count this
        else:
            handled, seconds = self._work(worker, action)
            self._later(seconds, TasksHandled(action.worker, handled))

    def _check_task(self, pool: int, task: Task) -> None:
        if pool and task.carried is None and task.key not in self.committed[pool - 1]:
            self.problems.append(f"{task.key} came to pool {pool} without what pool {pool - 1} made of it")

    def _lose_node(self, node: str) -> None:
        life = int(node[1:])
        self.lost.add(life)
        self.lives = [max(self.lives) + 1 if one == life else one for one in self.lives]
        for number, worker in self.workers.items():
            if worker.node == node:
                self._later(self.random.uniform(0.1, 2.0), Died(number, "its node has died", node_lost=True))

    def _work(self, worker: SimulatedWorker, action: Hand) -> tuple[Handled, float]:
        world, seconds = self.world, 0.0
        names = world.jobs[worker.pool]
        ends = action.step is None or action.step == len(names) - 1
        done, carried, commits = list[tuple[Done, ...]](), list[Any](), list[str]()
        covered: int | None = None
        for task in action.tasks:
            if done and seconds > PATIENCE_S:
                break
            seconds += self.random.uniform(0.5, 1.5) * world.key_s
            done.append(tuple(Done(name, task.key) for name in (names if action.step is None else [names[action.step]])))
            goes = ends and worker.pool + 1 < len(world.jobs) and world.buffered and self.random.random() < world.payloads
            carried.append((int(worker.node[1:]), task.key) if goes else None)
            if not ends:
                covered = None if world.buffered else len(done)
                continue
            worker.oldest = worker.oldest if worker.held else self.now + seconds
            worker.held.append(task.key)
            full = len(worker.held) >= MAX_HELD or action.step is not None or not world.buffered
            if full or self.now + seconds - worker.oldest >= world.commit_seconds:
                commits += worker.held
                worker.held, covered = [], len(done)
        return Handled(tuple(done), tuple(carried), covered, tuple(commits), seconds), seconds

    def _flush(self, worker: SimulatedWorker) -> Handled:
        held, worker.held = worker.held, []
        return Handled(covered=0, flushed=tuple(held))
