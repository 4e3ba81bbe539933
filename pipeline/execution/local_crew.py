"""Workers of a run as processes of this machine: an input that kills its worker costs nobody else anything."""

from __future__ import annotations

import multiprocessing
import pickle
import platform
import signal
import time
from collections.abc import Iterable, Iterator, Sequence
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any

from voxmill.pipeline.execution.crew import Action, Died, Event, Hand, Placed, Ready, Room, Start, Stop, TasksHandled
from voxmill.pipeline.execution.pool_worker import Handled, PoolWorkerSpec
from voxmill.pipeline.execution.worker_process import Failed, WorkerTraceback, serve

GRACE_S = 10.0
"""How long workers may take to let go of their keys, and to commit what is finished, when the run is stopped (s)."""


class LocalCrew:
    """See `Crew`. `rooms` are as stated, or one worker for each core: everything has its place at once."""

    def __init__(self, specs: Sequence[PoolWorkerSpec], rooms: Sequence[Room]) -> None:
        self._specs = [pickle.dumps(spec) for spec in specs]
        self._rooms = rooms
        self._processes: dict[int, SpawnProcess] = {}
        self._connections: dict[Connection, int] = {}
        self._to: dict[int, Connection] = {}
        self._ended: list[SpawnProcess] = []
        self._events: list[Event] = []

    def carry_out(self, action: Action) -> None:
        """See `Crew`."""
        if isinstance(action, Start):
            self._start(action)
        elif isinstance(action, Stop):
            self._send(action.worker, None)
            self._ended.append(self._part_with(action.worker))
        else:
            self._send(action.worker, ("work", action.tasks, action.step) if isinstance(action, Hand) else ("flush",))

    def wait(self, seconds: float) -> Iterable[Event]:
        """See `Crew`."""
        events, self._events = self._events, []
        for connection in wait(list(self._connections), 0 if events else seconds):
            assert isinstance(connection, Connection)
            worker = self._connections[connection]
            try:
                said = connection.recv()
            except (EOFError, OSError):
                events.append(self._died(worker))
                continue
            if isinstance(said, Failed):
                raise said.error from WorkerTraceback(said.trace)
            events.append(Ready(worker) if said is True else TasksHandled(worker, said))
        self._ended = [process for process in self._ended if process.is_alive()]
        if not events:  # a program that a step has started may outlive it, and keep its connection open
            events += [self._died(worker) for worker, process in list(self._processes.items()) if not process.is_alive()]
        return events

    def rooms(self) -> Sequence[Room]:
        """See `Crew`."""
        return self._rooms

    def missing(self, pool: int, long: bool) -> str | None:
        """See `Crew`. A process finds its place."""
        return None

    def stop(self) -> Iterator[Handled]:
        """See `Crew`."""
        deadline = time.monotonic() + GRACE_S
        for process in self._processes.values():
            process.terminate()
        try:
            while self._connections and (left := deadline - time.monotonic()) > 0:
                for connection in wait(list(self._connections), left):
                    assert isinstance(connection, Connection)
                    try:
                        said = connection.recv()
                    except (EOFError, OSError):
                        self._ended.append(self._part_with(self._connections[connection]))
                        continue
                    if isinstance(said, Handled):
                        yield said
            for process in self._ended:
                process.join(max(0.0, deadline - time.monotonic()))
        finally:
            for process in [*self._processes.values(), *self._ended]:
                process.kill()
                process.join()

    def _start(self, action: Start) -> None:
        here, there = multiprocessing.Pipe()
        # spawn: a fork of a process that holds threads (progress display, torch) may deadlock
        process = multiprocessing.get_context("spawn").Process(target=serve, args=(there, self._specs[action.pool]))
        resource_tracker.ensure_running()  # its start would take the block away again
        # processes started here begin so: Ctrl-C finds none half imported
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            process.start()
        finally:
            there.close()
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        self._processes[action.worker], self._to[action.worker] = process, here
        self._connections[here] = action.worker
        self._events.append(Placed(action.worker, platform.node()))

    def _send(self, worker: int, message: Any) -> None:
        try:
            self._to[worker].send(message)
        except OSError:  # it is dead, and that is seen at the next wait
            return

    def _died(self, worker: int) -> Died:
        process = self._part_with(worker)
        process.join(1.0)
        code = process.exitcode
        self._ended.append(process)
        if code is not None and code < 0:
            return Died(worker, signal.strsignal(-code) or f"signal {-code}")
        return Died(worker, f"exit code {code}")

    def _part_with(self, worker: int) -> SpawnProcess:
        connection = self._to.pop(worker)
        del self._connections[connection]
        connection.close()
        return self._processes.pop(worker)
