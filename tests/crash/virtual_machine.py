"""Puts the pipeline's own code into virtual time: what it asks of clocks, processes, threads and chance comes from the world."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from importlib import import_module
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from fsspec.core import url_to_fs

from crash.late_store import LateFileSystem
from crash.quick_parquet import quick_parquet
from crash.virtual_time import FOREVER, Process, Task, World
from voxmill.pipeline.state import chunk_ranges, chunks, driver_lease, fragment, journal
from voxmill.pipeline.state.run import Run

FILES = LateFileSystem()


def _quick_url_to_fs(uri: str, **how: Any) -> tuple[Any, str]:
    """A sixth of a simulation's time would go into fsspec's own."""
    return (FILES, FILES._strip_protocol(uri)) if uri.startswith("late://") else url_to_fs(uri, **how)


class VirtualThread:
    """As much of `threading.Thread` as a lease needs."""

    world: World

    def __init__(self, target: Callable[[], None], daemon: bool) -> None:
        self._target = target
        self._task: Task | None = None

    def start(self) -> None:
        self._task = self.world.spawn(self.world.process, self._target, main=False)

    def join(self) -> None:
        assert self._task
        self.world.join(self._task)


class VirtualEvent:
    """As much of `threading.Event` as a lease needs."""

    world: World

    def __init__(self) -> None:
        self._set = False
        self._waiting: list[Task] = []

    def set(self) -> None:
        self._set = True
        for task in self._waiting:
            self.world.wake(task)

    def wait(self, seconds: float = FOREVER) -> bool:
        assert self.world.current
        self._waiting.append(self.world.current)
        try:
            if not self._set:
                self.world.sleep(seconds)
        finally:
            self._waiting.remove(self.world.current)
        return self._set


@contextmanager
def virtual_machines(world: World, processes: dict[int, Process]) -> Iterator[None]:
    """While the block runs, the driver's lease, its journal and the fragments of workers live in this world."""

    def started(pid: int) -> str:
        process = processes.get(pid)
        return "" if process is None or process.dead or process.over else f"{pid}"

    def interrupt() -> None:
        world.process.interrupted = True

    clock = SimpleNamespace(
        time=lambda: 1.8e9 + world.now + world.process.skew, monotonic=lambda: world.now, sleep=lambda s: world.sleep(s)
    )
    chance = SimpleNamespace(uuid4=lambda: SimpleNamespace(hex=f"{world.random.getrandbits(128):032x}"))
    own = {
        "time": clock,
        "uuid": chance,
        "os": SimpleNamespace(getpid=lambda: world.process.pid),
        "platform": SimpleNamespace(node=lambda: world.process.machine),
        "Thread": type("Thread", (VirtualThread,), {"world": world}),
        "Event": type("Event", (VirtualEvent,), {"world": world}),
        "_machine": lambda: world.process.machine,
        "_started": started,
        "_interrupt": interrupt,
        "_LOOKS": 6,
    }
    with ExitStack() as stack:

        def put(module: Any, **values: Any) -> None:
            for name, value in values.items():
                stack.enter_context(patch.object(module, name, value))

        for name in ("ledger", "listing", "tombstones"):  # before Python 3.12 all runs of a process share one lock
            stack.enter_context(patch.object(vars(Run)[name], "lock", nullcontext(), create=True))
        put(driver_lease, **own)
        put(journal, time=clock, uuid=chance)
        put(fragment, uuid=chance)
        put(import_module("voxmill.manifests.storage.locate"), url_to_fs=_quick_url_to_fs)
        yield


@contextmanager
def small_files() -> Iterator[None]:
    """Chunks of four units, files of one at least, and row groups of two rows: every border is met."""
    with patch.multiple(chunk_ranges, UNITS=4, LEAST=1), patch.multiple(chunks, ROWS=2, _AT_ONCE=3), quick_parquet():
        yield
