"""Processes in virtual time: one runs at a time, another one's turn comes only where a process waits, and a seed decides everything.

The code of a process is ordinary blocking code in a thread of its own. Where it would wait (for a store, a clock, another thread) it gives
the turn to whatever happens next. A process can be killed or frozen at any of these places.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from threading import Lock, Thread

FOREVER = 1e12
TOO_LONG_S = 50_000.0
"""No run takes so long: whoever still waits then is ended."""


class Killed(BaseException):
    """Ends the thread of a process that is no more. Nothing it does on its way out has an effect."""


@dataclass(eq=False)
class Process:
    """What is killed, frozen and interrupted as a whole; it may have several threads."""

    world: World
    name: str
    machine: str
    pid: int
    skew: float = 0.0
    """Of its machine's clock against the world's (s)."""
    began: float = 0.0
    dead: bool = False
    frozen_until: float = 0.0
    disturbed: bool = False
    """It was frozen, or a request of its took unusually long: it may act on what it has seen long ago."""
    interrupted: bool = False
    """Its main thread is due a KeyboardInterrupt."""
    over: bool = False
    """Its main thread has ended, one way or the other."""

    def freeze(self, seconds: float) -> None:
        """It does nothing for so long; what it has sent goes on its way."""
        self.frozen_until, self.disturbed = max(self.frozen_until, self.world.now + seconds), True

    def kill(self) -> None:
        """It does nothing ever again; what it has sent goes on its way."""
        self.dead = True
        for task in self.world.tasks:
            if task.process is self and task is not self.world.current:
                self.world.wake(task)


@dataclass(eq=False)
class Task:
    """One thread of a process."""

    process: Process
    code: Callable[[], None]
    main: bool
    turn: Lock = field(default_factory=Lock)
    wake_number: int = 0
    """Wake-ups with an older number are void."""
    ended: bool = False
    joining: list[Task] = field(default_factory=list)


class World:
    """`world.spawn(…)`, then `world.run()`: returns when nothing is left to happen."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.now = 0.0
        self.turns = 0
        """How often another thread's turn came."""
        self.tasks: list[Task] = []
        self.current: Task | None = None
        self.failures: list[BaseException] = []
        """What tasks have raised."""
        self._events: list[tuple[float, int, Task | Callable[[], None], int]] = []
        self._number = 0
        self._idle = Lock()
        self._idle.acquire()

    @property
    def process(self) -> Process:
        """Whose turn it is."""
        assert self.current is not None
        return self.current.process

    def at(self, moment: float, what: Callable[[], None]) -> None:
        """Something that happens to the world; it may not wait."""
        self._push(moment, what)

    def spawn(self, process: Process, code: Callable[[], None], *, main: bool = True, delay: float = 0.0) -> Task:
        """A thread of a process that begins after `delay`."""
        task = Task(process, code, main)
        task.turn.acquire()
        self.tasks.append(task)
        Thread(target=self._live, args=(task,), daemon=True).start()
        self._push(self.now + delay, task)
        return task

    def sleep(self, seconds: float) -> None:
        """The current task waits, or until it is woken. Raises Killed, KeyboardInterrupt."""
        task = self.current
        assert task is not None
        self.check(task)
        task.wake_number += 1
        if seconds < FOREVER:
            self._push(self.now + seconds, task)
        self._next(task)
        self.check(task)

    def wake(self, task: Task) -> None:
        """A task that waits goes on now."""
        if not task.ended:
            task.wake_number += 1
            self._push(self.now, task)

    def join(self, task: Task) -> None:
        """Waits for the end of another task."""
        assert self.current is not None
        while not task.ended:
            task.joining.append(self.current)
            self.sleep(FOREVER)
        self.check(self.current)

    def check(self, task: Task) -> None:
        """Raises Killed, KeyboardInterrupt where the task is due one."""
        if task.process.dead:
            raise Killed
        if task.main and task.process.interrupted:
            task.process.interrupted = False
            raise KeyboardInterrupt

    def run(self) -> None:
        """Until nothing is left to happen. Who waits for something that will never come is ended."""
        self._next(None)
        while self.tasks:
            self.tasks[0].process.kill()
            self._next(None)

    def _live(self, task: Task) -> None:
        task.turn.acquire()
        try:
            if task.main:
                task.process.began = self.now
            self.check(task)
            task.code()
        except Killed:
            pass
        except BaseException as error:  # noqa: BLE001 - it is the answer
            self.failures.append(error)
        task.ended = True
        self.tasks.remove(task)
        if task.main:
            task.process.over = True
        for other in task.joining:
            self.wake(other)
        self._next(None, ends=True)

    def _push(self, moment: float, what: Task | Callable[[], None]) -> None:
        self._number += 1
        heapq.heappush(self._events, (moment, self._number, what, what.wake_number if isinstance(what, Task) else 0))

    def _next(self, me: Task | None, ends: bool = False) -> None:
        """Hands the turn to whatever happens next, and waits for the own one. `me`: None for the controller, and for a task at its end."""
        while self._events:
            moment, _, what, number = heapq.heappop(self._events)
            if not isinstance(what, Task):
                self.now = max(self.now, moment)
                what()
                continue
            if what.ended or number != what.wake_number:
                continue
            if moment > TOO_LONG_S and not what.process.dead:
                self.failures.append(TimeoutError(f"{what.process.name} does not come to an end"))
                what.process.dead = True
            if not what.process.dead and what.process.frozen_until > moment:
                self._number += 1
                heapq.heappush(self._events, (what.process.frozen_until, self._number, what, number))
                continue
            self.now, self.current = max(self.now, moment), what
            if what is me:
                return
            self.turns += 1
            what.turn.release()
            if not ends:
                (me.turn if me else self._idle).acquire()
            return
        self.current = None
        self._idle.release()
        if me:
            me.turn.acquire()  # nobody will ever wake it: a deadlock, which the controller sees
        elif not ends:
            self._idle.acquire()
