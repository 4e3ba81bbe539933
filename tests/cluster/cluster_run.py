"""A run on a cluster as it goes: started on a machine, watched, waited for, and started again where it has ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import Popen, TimeoutExpired
from typing import TypeVar

from cluster.events import Seen, seen
from cluster.ray_cluster import RayCluster

SLEEPER = "transcribe-sleeping/"
"""How the subjects of events of the recogniser begin that sleeps a stated time for each unit."""

T = TypeVar("T")


class BadEnd(Exception):
    """A run ended otherwise than it should, or takes too long; the message ends with its screen."""


@dataclass
class ClusterRun:
    """The run `root`; every `start` is the same command."""

    cluster: RayCluster
    settings: Path
    root: str
    patience_s: float = 420.0
    """How long it may take until something that is waited for."""
    screens: list[Path] = field(default_factory=list)
    """What each start has said."""
    begun: float = field(default_factory=time.monotonic)
    process: Popen[bytes] = field(init=False)

    def start(self, on: str = "head", environment: Mapping[str, str] | None = None) -> None:
        """Starts the command on a machine."""
        self.screens.append(self.cluster.folder / f"{self.root.rpartition('/')[2]}.{len(self.screens) + 1}.log")
        self.process = self.command(on, self.screens[-1], environment)

    def command(self, on: str, screen: Path, environment: Mapping[str, str] | None = None) -> Popen[bytes]:
        """The command, also beside the one that is waited for; what it says goes to `screen`."""
        words = ["run", "-c", str(self.settings), "-o", self.root, "--executor", "ray", "--address", "auto"]
        return self.cluster.voxmill(*words, on=on, log=screen, environment=environment)

    @property
    def lines(self) -> list[str]:
        """What is on the screen of the last start."""
        return self.screens[-1].read_text().splitlines()

    def seen(self, about: str, event: str = "began") -> list[Seen]:
        """Events since the run was first started, in the order of time."""
        found = seen(self.cluster.folder / "events", about)
        return [one for one in found if one.at > self.begun and one.event == event]

    def until(self, what: str, holds: Callable[[], T]) -> T:
        """Waits for something, and returns it. Raises BadEnd where the run ends before, or it takes too long."""
        until = time.monotonic() + self.patience_s
        while not (found := holds()):
            ended = self.process.poll()
            if ended is not None or time.monotonic() > until:
                how = "takes too long" if ended is None else f"ended with {ended}"
                raise BadEnd(f"the run {how} before {what}:\n{self._screen()}")
            time.sleep(0.1)
        return found

    def ended(self) -> int:
        """Waits for the end; the exit code. Raises BadEnd where that takes too long."""
        with suppress(TimeoutExpired):
            return self.process.wait(self.patience_s)
        raise BadEnd(f"the run does not end:\n{self._screen()}")

    def end(self) -> None:
        """Waits for the end. Raises BadEnd where it is no good one."""
        if code := self.ended():
            raise BadEnd(f"the run ended with {code}:\n{self._screen()}")

    def _screen(self) -> str:
        return self.screens[-1].read_text()[-3000:]
