"""Wall time and CPU-seconds of whole process trees, counted only while the clock runs."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from types import MappingProxyType

import psutil

OURS = "driver and workers"


def end_with_parent() -> None:
    """For a pool's worker: a benchmark that is killed must leave nobody behind with models in memory."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_after, args=(parent,), daemon=True).start()


def _end_after(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)


class Tree:
    """CPU time of the processes `roots` and all that descend from them; `without` names processes whose trees are left out.

    A process that has ended keeps what it was last seen to have spent: nobody may be left who remembers it (Ray's workers).
    """

    def __init__(self, roots: Iterable[int], without: Iterable[int] = ()) -> None:
        self._roots, self._without = tuple(roots), frozenset(without)
        self._spent: dict[tuple[int, float], tuple[str, float]] = {}

    def look(self) -> None:
        """Sees what each process has spent so far."""
        queue = list(self._roots)
        while queue:
            pid = queue.pop()
            if pid in self._without:
                continue
            try:
                process = psutil.Process(pid)
                with process.oneshot():
                    times, key = process.cpu_times(), (pid, process.create_time())
                    kind = self._spent[key][0] if key in self._spent else _kind(process)
                queue += [child.pid for child in process.children()]
            except psutil.NoSuchProcess:
                continue
            self._spent[key] = kind, times.user + times.system

    def spent(self, noted: Mapping[int, float]) -> dict[str, float]:
        """Seconds so far, by kind of process; of those whose pid is in `noted` just that, whatever they have done since."""
        self.look()
        totals: dict[str, float] = defaultdict(float)
        for (pid, _), (kind, seconds) in self._spent.items():
            totals[kind] += noted.get(pid, seconds)
        return totals


def _kind(process: psutil.Process) -> str:
    name, words = process.name(), " ".join(process.cmdline()[:4])
    if name in ("raylet", "gcs_server"):
        return name
    return "Ray's agents" if "ray/dashboard" in words or ("ray/_private" in words and "default_worker" not in words) else OURS


@dataclass(slots=True)
class Lap:
    wall_s: float = 0.0
    cpu_s: float = 0.0


@dataclass
class Clock:
    """A stopwatch over a tree. Laps of one name add up."""

    tree: Tree
    laps: dict[str, Lap] = field(default_factory=lambda: defaultdict(Lap))
    kinds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    """CPU-seconds by kind of process."""
    _noted: dict[int, float] = field(default_factory=dict)
    _since: tuple[str, float, dict[str, float]] | None = None

    @property
    def wall_s(self) -> float:
        return sum(lap.wall_s for lap in self.laps.values())

    @property
    def cpu_s(self) -> float:
        return sum(lap.cpu_s for lap in self.laps.values())

    def resume(self, lap: str = "") -> None:
        if self._since is None:
            self._since = lap, time.monotonic(), self.tree.spent(self._noted)

    def pause(self, at: float | None = None, noted: Mapping[int, float] = MappingProxyType({})) -> None:
        """`at` is when the work was really over (monotonic seconds), where that is only noticed now.

        `noted` is what processes had spent (s) when their own work was over: that they end, now or later, is not counted.
        """
        if self._since is not None:
            self._noted |= noted
            name, began, before = self._since
            lap, after = self.laps[name], self.tree.spent(self._noted)
            lap.wall_s += (time.monotonic() if at is None else at) - began
            for kind, seconds in after.items():
                spent = seconds - before.get(kind, 0.0)
                lap.cpu_s += spent
                self.kinds[kind] += spent
            self._since = None
